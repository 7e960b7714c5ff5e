"""Two sockets of a call come to one pod at once, and each takes the other's update of the row for its own."""

import asyncio

from shared.core.call_state import Cause
from tests.support.media import MemoryCalls, MemoryOutside, running_gateway


class MeetingCalls(MemoryCalls):
    """Rows that two have read when the first of them writes: the other one reads again, as the table has it do."""

    def __init__(self):
        super().__init__()
        self._both = asyncio.Barrier(2)

    async def change(self, call_id, mutate):
        if self.rows[call_id].epoch == 0:
            mutate(self.rows[call_id])
            await self._both.wait()
        return await super().change(call_id, mutate)


async def test_one_has_the_call_and_the_other_is_refused(agent):
    async with running_gateway(outside=MemoryOutside(calls=MeetingCalls())) as gateway:
        call = gateway.answer()
        sockets = [await gateway.open_socket(call) for _ in range(2)]
        await gateway.until(lambda: any(socket.closed.is_set() for socket in sockets))
        (loser,) = [socket for socket in sockets if socket.closed.is_set()]
        (winner,) = [socket for socket in sockets if socket is not loser]

        assert loser.close_reason == "token_used"
        winner.send_metadata(24_000)
        await gateway.until_streaming(call)
        agent.sink.end()
        gateway.acs.sockets[call.call_connection_id] = winner
        await gateway.until_over()
        gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True)
