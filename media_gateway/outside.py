"""What the media gateway asks of the rest of the world; `shared.adapters.connect.Connections` answers it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from azure.core.credentials_async import AsyncTokenCredential

from media_gateway.recording.store import RecordingBlobs
from shared.adapters.call_store import StoredEvent
from shared.core.admission import PodLoad
from shared.core.call import CallRecord
from shared.core.signals import Signal
from shared.core.transfers import TransferContext
from shared.security.acs_jwt import AcsTokenVerifier
from shared.security.keyring import SecretVersions


class CallRows(Protocol):
    """The rows and callback events of calls."""

    async def change(self, call_id: str, mutate: Callable[[CallRecord], CallRecord]) -> CallRecord:
        """Apply `mutate` to the call's row, again if somebody wrote in between, and return what was written.

        Raises:
            NotFound: there is no such call.
            StoreUnavailable: storage did not answer; the change may have been made all the same.
        """

    async def events(self, call_id: str) -> Sequence[StoredEvent]:
        """Return the call's callback events so far. Raises `StoreUnavailable`."""


class PodRows(Protocol):
    """The heartbeats of the pods."""

    async def beat(self, load: PodLoad) -> None:
        """Write this pod's. Raises `StoreUnavailable`."""

    async def remove(self, name: str) -> None:
        """Remove a pod's. Raises `StoreUnavailable`."""

    async def beats(self) -> Mapping[str, float]:
        """Return when every pod last beat, by its own clock, in Unix seconds; infinite where it cannot be read.

        Raises `StoreUnavailable`.
        """

    async def held(self, name: str) -> Sequence[str]:
        """Return the ids of the calls that a pod said last it owns. Raises `StoreUnavailable`."""


class CallActions(Protocol):
    """What we ask of ACS."""

    async def hang_up(self, call_connection_id: str, *, for_everyone: bool) -> None:
        """End the call. Raises `CallGone` and `AcsUnavailable`."""

    async def transfer(
        self,
        call_connection_id: str,
        *,
        target: str,
        context: TransferContext,
        operation_context: str,
        caller_id: str | None = None,
        transferee: str | None = None,
    ) -> None:
        """Ask for the call to be transferred to `target`, a raw id; a callback tells how it went.

        Raises:
            CallGone: the call is over.
            AcsRefused: ACS will not transfer it, or is transferring it already.
            AcsUnavailable: anything else; whether it is transferred is then unknown.
        """

    async def start_media(self, call_connection_id: str, *, operation_context: str) -> None:
        """Ask for the media socket to be opened again; the socket or a callback tells how it went.

        Raises:
            CallGone: the call is over.
            AcsRefused: media are streaming, or the call was answered without them.
            AcsUnavailable: anything else; whether a socket comes is then unknown.
        """

    async def stop_media(self, call_connection_id: str) -> None:
        """Ask for the media socket to be closed, whoever holds its other end.

        Raises:
            CallGone: the call is over.
            AcsRefused: media are not streaming.
            AcsUnavailable: anything else.
        """

    async def play_file(self, call_connection_id: str, *, url: str, operation_context: str) -> None:
        """Let ACS fetch a WAV file and play it to the call; a callback tells how it went.

        Raises:
            CallGone: the call is over.
            AcsRefused: ACS will not play it.
            AcsUnavailable: anything else; whether it is played is then unknown.
        """

    async def send_dtmf(self, call_connection_id: str, *, target: str, digits: str) -> None:
        """Press `digits`, of `0123456789*#ABCD`, towards `target`, the raw id of a participant on a phone.

        Raises:
            CallGone: the call is over, or the target has left it.
            AcsUnavailable: anything else; whether the keys were pressed is then unknown.
        """


class SoundFiles(Protocol):
    """The WAV files that agents play."""

    async def read(self, name: str) -> bytes:
        """Return a whole file. Raises `SoundUnusable` and `StoreUnavailable`."""


class SecretValues(Protocol):
    """The secrets that agents use."""

    async def value(self, name: str) -> str | None:
        """Return the latest version's value; None where there is no such secret. Raises `VaultUnavailable`."""


class Vault(SecretVersions, SecretValues, Protocol):
    """Key Vault."""


class IdentityTokens(Protocol):
    """Tokens of this process's own identity."""

    async def token(self, scope: str) -> str:
        """Return a bearer token. Raises `IdentityUnavailable`."""


class Signalling(Protocol):
    """Signals between processes."""

    async def send(self, pod: str, signal: Signal) -> None:
        """Signal a pod. Raises `SignalsUnavailable`."""

    async def client_url(self, pod: str) -> str:
        """Return where the signals of a pod come. Raises `SignalsUnavailable`."""


class Outside(Protocol):
    """All of it."""

    @property
    def calls(self) -> CallRows:
        """Calls."""

    @property
    def pods(self) -> PodRows:
        """Pods."""

    @property
    def sounds(self) -> SoundFiles:
        """Sounds."""

    @property
    def recordings(self) -> RecordingBlobs:
        """Recordings."""

    @property
    def call_control(self) -> CallActions:
        """ACS."""

    @property
    def vault(self) -> Vault:
        """Key Vault."""

    @property
    def signals(self) -> Signalling:
        """Web PubSub."""

    @property
    def credential(self) -> AsyncTokenCredential:
        """This process's identity, for SDKs."""

    @property
    def entra(self) -> IdentityTokens:
        """Entra."""

    @property
    def acs_tokens(self) -> AcsTokenVerifier | None:
        """The check of ACS's own JWT; None where it is not configured."""
