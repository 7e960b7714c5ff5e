"""Azure AI, as far as ACS needs it for a call: whether it does as it is asked, and how it fails."""

import asyncio
from typing import Final

from emulator.call import Call
from emulator.faults.registry import Faults, Occasion
from emulator.faults.rules import Cut, Delay, Hang, Pause, Reset, Status
from emulator.wire.callback_events import ResultInformation

_LATE: Final = ResultInformation(408, 8565, "Action failed, the request to Azure AI timed out.")
_NOT_CONNECTED: Final = ResultInformation(500, 8564, "Action failed, connection to the speech service lost.")
_SUB_CODE: Final = "8565"


class AzureAiFailed(Exception):
    """It did not do it.

    Attributes:
        result: what the application is told.
    """

    def __init__(self, result: ResultInformation) -> None:
        super().__init__(result.message)
        self.result = result


class AzureAi:
    """Asks it.

    Args:
        faults: rules that strike the requests.
        timeout_seconds: for each.
    """

    def __init__(self, faults: Faults, *, timeout_seconds: float) -> None:
        self._faults = faults
        self._timeout_seconds = timeout_seconds

    async def ask(self, operation: str, call: Call) -> None:
        """Return when it has agreed to do this for the call.

        Raises:
            AzureAiFailed: it has not.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._ask(operation, call)
        except TimeoutError:
            raise AzureAiFailed(_LATE) from None

    async def _ask(self, operation: str, call: Call) -> None:
        """Let the rules have their way with a request."""
        occasion = Occasion(
            operation, names=call.names, thing=f"{operation} {call.thing}", about="words of a call"
        )
        strike = self._faults.take(occasion)
        is_lost = False
        match strike and strike.action:
            case Status(status=status, code=code, message=message):
                sub_code = code if code and code.isdecimal() else _SUB_CODE
                raise AzureAiFailed(ResultInformation(status, int(sub_code), message))
            case Delay(ms=ms):
                await asyncio.sleep(ms / 1000)
            case Hang() if strike is not None:
                is_lost = not await strike.injected.removed()
            case Pause(when=when):
                is_lost = not await self._faults.hold(occasion, when)
            case Reset() | Cut():
                is_lost = True
        if is_lost:
            raise AzureAiFailed(_NOT_CONNECTED)
