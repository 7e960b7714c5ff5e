"""What numbers and identities outside do, and where that is set."""

import pytest
from azure.communication.callautomation import PhoneNumberIdentifier

from emulator import outside as outside_module
from emulator.media.line import Line
from emulator.outside import Manner, OutsideParties, OutsideParty, OutsideRefused
from emulator.settings import EmulatorSettings, SettingsError, read_settings
from emulator.wav import WavWriter
from tests.support.voice import tone

NUMBER, CALLER = "+18005550199", "+14255550100"
COLLEAGUE = PhoneNumberIdentifier("+14255550177")


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "colleague.wav"
    with WavWriter(path, 8_000, channels=1) as writer:
        writer.write(tone(200, 8_000))
    return str(path)


async def test_party_may_say_something(
    acs_emulator, aio_client, application, outside, recording, happened, until, transfer
):
    outside(COLLEAGUE, wav=recording)
    heard = []
    line = Line(rate_hz=16_000, on_audio=heard.append)
    call = await acs_emulator.calls.place(to=NUMBER, from_=CALLER, line=line)
    answered = await aio_client.answer(call, application)
    await happened(call, "connected")

    await transfer(answered.call_connection_id, COLLEAGUE)

    await until(lambda: line.played_ms >= 200 and not any(heard[-1]))
    assert line.played_ms == 200
    assert line.gaps.count == 0
    frames_with_sound = [frame for frame in heard if any(frame)]
    assert 10 <= len(frames_with_sound) <= 12
    await acs_emulator.calls.caller_hangs_up(call)


async def test_behaviour_is_set_and_removed_by_request(acs_emulator, http):
    url = f"{acs_emulator.base_url}/emulator/outside"

    async with http.put(f"{url}/+14255550177", json={"does": "busy", "afterMs": 1500}) as response:
        assert (response.status, await response.json()) == (
            200,
            {"does": "busy", "afterMs": 1500, "wav": None},
        )
    async with http.get(url) as response:
        listed = (await response.json())["value"]
    async with http.delete(f"{url}/%2B14255550177") as response:
        assert response.status == 204
    async with http.delete(f"{url}/%2B14255550177") as response:
        assert response.status == 404

    assert listed == [{"rawId": "4:+14255550177", "does": "busy", "afterMs": 1500, "wav": None}]
    assert list(acs_emulator.calls.outside) == []


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("+14255550177", {"does": "sings"}),
        ("+14255550177", {"afterMs": -1}),
        ("+14255550177", {"afterMs": 600_001}),
        ("+14255550177", {"after": 5}),
        ("+14255550177", {"wav": "/no/such.wav"}),
        ("+14255550177", {"does": "busy", "wav": "/no/such.wav"}),
        ("+14255550177", []),
        ("nobody", {}),
        (NUMBER, {}),
    ],
)
async def test_behaviour_that_cannot_be_is_refused(acs_emulator, http, address, body):
    async with http.put(f"{acs_emulator.base_url}/emulator/outside/{address}", json=body) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (400, "InvalidRequest")
    assert list(acs_emulator.calls.outside) == []


async def test_address_that_is_none_cannot_be_removed(acs_emulator, http):
    async with http.delete(f"{acs_emulator.base_url}/emulator/outside/nobody") as response:
        assert response.status == 400


def test_settings_name_parties(tmp_path, recording):
    file = tmp_path / "settings.json"
    file.write_text(
        '{"outside_parties": {"+14255550177": {"does": "rings", "afterMs": 50},'
        f' "8:orgid:5f2b1c3e": {{"wav": "{recording}"}}}}}}'
    )

    settings = read_settings(file)

    assert dict(settings.outside()) == {
        "4:+14255550177": OutsideParty(does=Manner.RINGS, after_ms=50),
        "8:orgid:5f2b1c3e": OutsideParty(wav=recording),
    }


@pytest.mark.parametrize("address", ["nobody", NUMBER])
def test_wrong_party_is_a_fault_of_the_settings(address):
    with pytest.raises(SettingsError, match=r"outside_parties: .*"):
        EmulatorSettings(outside_parties={address: OutsideParty()})


def test_file_that_is_no_recording_is_refused(tmp_path):
    (tmp_path / "words.txt").write_text("words")
    with pytest.raises(OutsideRefused, match="recording"):
        OutsideParties({"+14255550177": OutsideParty(wav=str(tmp_path / "words.txt"))})


def test_recording_may_only_be_so_long(recording, monkeypatch):
    monkeypatch.setattr(outside_module, "MAX_WAV_BYTES", 1_000)
    with pytest.raises(OutsideRefused, match="more than 1000 bytes"):
        OutsideParties({"+14255550177": OutsideParty(wav=recording)})


def test_only_so_many_parties_can_be_set(monkeypatch):
    monkeypatch.setattr(outside_module, "MAX_PARTIES", 2)
    parties = OutsideParties({"+14255550171": OutsideParty(), "+14255550172": OutsideParty()})
    parties.put("+14255550172", OutsideParty(does=Manner.BUSY))
    with pytest.raises(OutsideRefused, match="more than 2"):
        parties.put("+14255550173", OutsideParty())
