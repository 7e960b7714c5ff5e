"""What one peer, or one setting, may take of the process."""

import resource

import pytest
from picows import WSMsgType
from picows.picows import _make_test_ws_frame

from media_gateway.arrival import MEDIA_SOCKET
from media_gateway.early import EarlyMedia
from media_gateway.message_socket import MessageSocket
from media_gateway.runtime import DESCRIPTORS_A_CALL, DESCRIPTORS_BESIDE, provide_descriptors
from media_gateway.timing import EARLY_BYTES
from shared.acs.media import MAX_PARTICIPANT_CHARS, AudioData, DtmfDigit, Flaw, MediaInvalid
from shared.acs.media_codec import decode
from shared.config import SettingsInvalid


@pytest.fixture
def limits(monkeypatch):
    made = {"now": (200, 4096)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: made["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: made.update(now=new))
    return made


def test_the_limit_of_open_files_is_raised_as_far_as_the_system_allows(limits):
    provide_descriptors(100)
    assert limits["now"] == (4096, 4096)


def test_more_calls_than_open_files_are_refused_at_start(limits):
    with pytest.raises(
        SettingsInvalid, match="MAX_CALLS=10000 needs 20500 open files, and the limit is 4096"
    ):
        provide_descriptors(10_000)
    assert 10_000 * DESCRIPTORS_A_CALL + DESCRIPTORS_BESIDE == 20_500


@pytest.mark.parametrize(
    "message",
    [DtmfDigit("1"), AudioData(), AudioData(data=b"\0\0"), AudioData(data=b"\0\0", participant="p" * 200)],
    ids=["key", "silence", "one sample", "long name"],
)
def test_a_flood_before_the_agent_listens_is_bounded_whatever_it_is_made_of(message):
    early = EarlyMedia()
    for _ in range(2000):
        early.add(message)
    assert early.dropped > 0
    assert len(early.take()) <= EARLY_BYTES // 640


def test_a_speaker_s_name_that_is_no_name_is_refused():
    name = "8" * (MAX_PARTICIPANT_CHARS + 1)
    with pytest.raises(MediaInvalid) as invalid:
        decode(f'{{"kind":"AudioData","audioData":{{"data":"AAA=","participantRawID":"{name}"}}}}'.encode())
    assert invalid.value.flaw is Flaw.BAD_MESSAGE


class PeerThatPings:
    """The transport of picows, as far as a ping goes."""

    is_close_frame_sent = False

    def __init__(self):
        self.pongs = []

    def send_pong(self, payload):
        self.pongs.append(payload)


def test_a_ping_is_answered_unless_the_peer_does_not_read():
    socket, peer = MessageSocket(owner=None, close_s=1, limits=MEDIA_SOCKET), PeerThatPings()
    socket._transport, socket.out.is_writable = peer, True
    socket.on_ws_frame(peer, _make_test_ws_frame(WSMsgType.PING, b"1", True, False))
    socket.out.is_writable = False
    socket.on_ws_frame(peer, _make_test_ws_frame(WSMsgType.PING, b"2", True, False))
    assert peer.pongs == [b"1"]
