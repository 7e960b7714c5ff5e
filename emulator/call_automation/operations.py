"""Every operation of Call Automation by name, method and path; what is not emulated is listed all the same."""

from dataclasses import dataclass

CALL_CONNECTIONS = "/calling/callConnections"
_CALL = CALL_CONNECTIONS + "/{callConnectionId}"
_PARTICIPANTS = _CALL + "/participants"
_RECORDINGS = "/calling/recordings"
_RECORDING = _RECORDINGS + "/{recordingId}"


@dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
        name: as in the URL where it has a verb there.
        repeatable: whether it honours Repeatability-Request-ID.
    """

    name: str
    method: str
    path: str
    repeatable: bool = False


ANSWER = Operation("answer", "POST", CALL_CONNECTIONS + ":answer", repeatable=True)
REDIRECT = Operation("redirect", "POST", CALL_CONNECTIONS + ":redirect", repeatable=True)
REJECT = Operation("reject", "POST", CALL_CONNECTIONS + ":reject", repeatable=True)
GET_CALL = Operation("getCall", "GET", _CALL)
HANG_UP = Operation("hangup", "DELETE", _CALL)
TERMINATE = Operation("terminate", "POST", _CALL + ":terminate", repeatable=True)
START_MEDIA_STREAMING = Operation("startMediaStreaming", "POST", _CALL + ":startMediaStreaming")
STOP_MEDIA_STREAMING = Operation("stopMediaStreaming", "POST", _CALL + ":stopMediaStreaming")
TRANSFER = Operation("transferToParticipant", "POST", _CALL + ":transferToParticipant", repeatable=True)
LIST_PARTICIPANTS = Operation("listParticipants", "GET", _PARTICIPANTS)
GET_PARTICIPANT = Operation("getParticipant", "GET", _PARTICIPANTS + "/{participantRawId}")
SEND_DTMF_TONES = Operation("sendDtmfTones", "POST", _CALL + ":sendDtmfTones", repeatable=True)
PLAY = Operation("play", "POST", _CALL + ":play")
RECOGNIZE = Operation("recognize", "POST", _CALL + ":recognize")
START_CONTINUOUS_DTMF = Operation(
    "startContinuousDtmfRecognition", "POST", _CALL + ":startContinuousDtmfRecognition"
)
STOP_CONTINUOUS_DTMF = Operation(
    "stopContinuousDtmfRecognition", "POST", _CALL + ":stopContinuousDtmfRecognition"
)
CANCEL_ALL_MEDIA = Operation("cancelAllMediaOperations", "POST", _CALL + ":cancelAllMediaOperations")
HOLD = Operation("hold", "POST", _CALL + ":hold")
UNHOLD = Operation("unhold", "POST", _CALL + ":unhold")

NOT_EMULATED = (
    Operation("createCall", "POST", CALL_CONNECTIONS, repeatable=True),
    Operation("connect", "POST", CALL_CONNECTIONS + ":connect", repeatable=True),
    Operation("addParticipant", "POST", _PARTICIPANTS + ":add", repeatable=True),
    Operation("removeParticipant", "POST", _PARTICIPANTS + ":remove", repeatable=True),
    Operation("mute", "POST", _PARTICIPANTS + ":mute", repeatable=True),
    Operation("cancelAddParticipant", "POST", _PARTICIPANTS + ":cancelAddParticipant", repeatable=True),
    Operation("moveParticipants", "POST", _PARTICIPANTS + ":moveHere", repeatable=True),
    Operation("startTranscription", "POST", _CALL + ":startTranscription"),
    Operation("updateTranscription", "POST", _CALL + ":updateTranscription"),
    Operation("stopTranscription", "POST", _CALL + ":stopTranscription"),
    Operation("startRecording", "POST", _RECORDINGS, repeatable=True),
    Operation("getRecording", "GET", _RECORDING),
    Operation("stopRecording", "DELETE", _RECORDING),
    Operation("pauseRecording", "POST", _RECORDING + ":pause"),
    Operation("resumeRecording", "POST", _RECORDING + ":resume"),
)

ALL = (
    ANSWER,
    REDIRECT,
    REJECT,
    GET_CALL,
    HANG_UP,
    TERMINATE,
    START_MEDIA_STREAMING,
    STOP_MEDIA_STREAMING,
    TRANSFER,
    LIST_PARTICIPANTS,
    GET_PARTICIPANT,
    SEND_DTMF_TONES,
    PLAY,
    RECOGNIZE,
    START_CONTINUOUS_DTMF,
    STOP_CONTINUOUS_DTMF,
    CANCEL_ALL_MEDIA,
    HOLD,
    UNHOLD,
    *NOT_EMULATED,
)
