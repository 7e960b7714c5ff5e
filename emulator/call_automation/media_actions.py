"""What the application lets the caller of one call hear, and what it hears of them, without a media socket."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from emulator.call import Call
from emulator.call_automation.continuous_dtmf import ContinuousDtmf
from emulator.call_automation.holding import Holding
from emulator.call_automation.media_queue import MediaQueue
from emulator.call_automation.media_streaming import SendEvent
from emulator.call_automation.play_sources import PlaySources
from emulator.call_automation.playing import Playing
from emulator.call_automation.recognizing import Recognizing, RecognizingServices
from emulator.tasks import Tasks
from emulator.wire.errors import missing_configuration, participant_not_found
from emulator.wire.hold import HoldRequest
from emulator.wire.identifiers import Identifier
from emulator.wire.play import PlayRequest, needs_azure_ai
from emulator.wire.recognize import ContinuousDtmfRecognitionRequest, RecognizeRequest


@dataclass(frozen=True)
class MediaServices:
    """What the actions of one call work with.

    Attributes:
        has_azure_ai: whether the answer named one.
        sources: where what is played comes from, and the Azure AI.
        tasks: own what is under way.
        send: sends an event.
        completes_late_tones: whether keys are told after which none came in time.
        participants_changed: called when the caller has been put on hold, or taken back.
    """

    has_azure_ai: bool
    sources: PlaySources
    tasks: Tasks
    send: SendEvent
    completes_late_tones: bool
    participants_changed: Callable[[], None]


class MediaActions:
    """The actions on the caller of one connected call.

    Args:
        call: whose caller it is.
        services: what they work with.
    """

    def __init__(self, call: Call, services: MediaServices) -> None:
        self._call = call
        self._services = services
        self._queue = MediaQueue(services.tasks)
        self._continuous_dtmf = ContinuousDtmf(call, services.send)
        self._recognizing = RecognizingServices(
            services.sources, services.send, services.completes_late_tones
        )
        self._holding = Holding(
            call,
            sources=services.sources,
            tasks=services.tasks,
            send=services.send,
            on_change=services.participants_changed,
        )

    def play(self, targets: Sequence[Identifier], request: PlayRequest) -> None:
        """`:play`. PlayStarted and PlayCompleted follow, or PlayFailed, or PlayCanceled.

        Raises:
            AcsError: a target is not the caller, the answer gave no Azure AI to speak what is to be spoken, or too
                many requests wait already.
        """
        for target in targets:
            self._require_caller(target)
        self._require_azure_ai(needed=needs_azure_ai(request.play_sources))
        playing = Playing(self._call, request, sources=self._services.sources, send=self._services.send)
        interrupts = request.interrupt_call_media_operation and not request.play_to
        self._queue.start(playing, name="play", interrupts=interrupts)
        self._call.plays.append(playing.play)

    def recognize(self, target: Identifier, request: RecognizeRequest) -> None:
        """`:recognize`. RecognizeCompleted follows, or RecognizeFailed, or RecognizeCanceled.

        Raises:
            AcsError: the target is not the caller, the answer gave no Azure AI to speak or to listen where that is
                needed, or too many requests wait already.
        """
        self._require_caller(target)
        needed = request.recognize_input_type.needs_azure_ai or needs_azure_ai(request.prompts)
        self._require_azure_ai(needed=needed)
        recognizing = Recognizing(self._call, request, self._recognizing)
        self._queue.start(recognizing, name="recognize", interrupts=request.interrupt_call_media_operation)
        self._call.recognitions.append(recognizing.recognition)

    def cancel_all(self) -> None:
        """`:cancelAllMediaOperations`; PlayCanceled or RecognizeCanceled follows for each."""
        self._queue.cancel_all()

    def start_continuous_dtmf(self, target: Identifier, request: ContinuousDtmfRecognitionRequest) -> None:
        """`:startContinuousDtmfRecognition`.

        Raises:
            AcsError: the target is not the caller, or it is on already.
        """
        self._require_caller(target)
        self._continuous_dtmf.start(request)

    def stop_continuous_dtmf(self, target: Identifier, request: ContinuousDtmfRecognitionRequest) -> None:
        """`:stopContinuousDtmfRecognition`.

        Raises:
            AcsError: the target is not the caller, or it is not on.
        """
        self._require_caller(target)
        self._continuous_dtmf.stop(request)

    def hold(self, target: Identifier, request: HoldRequest) -> None:
        """`:hold`. HoldFailed follows where what the caller is to hear cannot be had.

        Raises:
            AcsError: the target is not the caller, they are on hold already, or the answer gave no Azure AI to speak
                what is to be spoken.
        """
        self._require_caller(target)
        source = request.play_source_info
        self._require_azure_ai(needed=source is not None and needs_azure_ai((source,)))
        self._holding.hold(request)

    def unhold(self, target: Identifier) -> None:
        """`:unhold`.

        Raises:
            AcsError: the target is not the caller, or they are not on hold.
        """
        self._require_caller(target)
        self._holding.unhold()

    def end(self) -> None:
        """The application has no part in the call any more."""
        self._holding.end()
        self._queue.end()
        self._continuous_dtmf.end()

    def _require_caller(self, target: Identifier) -> None:
        if target.id != self._call.from_.id:
            raise participant_not_found()

    def _require_azure_ai(self, *, needed: bool) -> None:
        if needed and not self._services.has_azure_ai:
            raise missing_configuration("The call was answered without cognitiveServicesEndpoint.")
