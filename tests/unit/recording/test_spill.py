"""Parts on a volume: whole or not there, within a limit, and never left behind by a process that is gone."""

from pathlib import Path
from stat import S_IMODE

import pytest

from media_gateway.recording.spill import Spill

MB = 1024 * 1024


@pytest.fixture
def volume(tmp_path):
    return tmp_path / "volume"


@pytest.fixture
def opened(volume):
    """Open the folder of a process: `opened(name)`. All are closed at the end."""
    spills = []

    def open_one(process="pod-1", max_bytes=MB):
        spill = Spill(volume, process, max_bytes)
        spills.append(spill)
        return spill, spill.open()

    yield open_one
    for spill in spills:
        spill.close()


def waiting(spill):
    """Take all that waits, oldest first."""
    found = []
    while (first := spill.first()) is not None:
        found.append((first.name, first.path.read_bytes()))
        spill.remove(first)
    return found


def test_parts_wait_in_order(opened):
    spill, _ = opened()
    for number in range(12):
        assert spill.add(f"a/b/{number}.wav", str(number).encode())
    assert waiting(spill) == [(f"a/b/{number}.wav", str(number).encode()) for number in range(12)]


def test_when_it_is_full_what_came_before_is_kept(opened):
    spill, _ = opened(max_bytes=10)
    assert spill.add("first", bytes(6))
    assert not spill.add("second", bytes(6))
    assert spill.add("third", bytes(4))
    assert [name for name, _ in waiting(spill)] == ["first", "third"]
    assert spill.add("fourth", bytes(10))
    waiting(spill)


def test_a_volume_that_takes_no_file_keeps_none(opened):
    spill, _ = opened()
    for path in spill.folder.iterdir():
        path.unlink()
    spill.folder.rmdir()
    assert not spill.add("a", b"1")
    assert len(spill) == 0


@pytest.fixture
def stuck(monkeypatch):
    """A volume that has become read-only: what is on it stays."""

    def refuse(*args, **options):
        raise OSError("read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)


def test_a_file_that_cannot_be_removed_is_not_sent_again_and_goes_on_to_count(opened, stuck):
    spill, _ = opened(max_bytes=10)
    spill.add("a", bytes(6))
    assert not spill.remove(spill.first())
    assert spill.first() is None
    assert not spill.add("b", bytes(6))


def test_a_half_written_file_that_cannot_be_removed_is_refused_like_others(opened, stuck, monkeypatch):
    spill, _ = opened()

    def fail(path, target):
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "rename", fail)
    assert not spill.add("a", b"1")
    assert len(spill) == 0


def test_nobody_else_on_the_machine_can_read_what_waits(opened, volume):
    spill, _ = opened()
    spill.add("a", b"1")
    assert {S_IMODE(folder.stat().st_mode) for folder in (volume, spill.folder)} == {0o700}
    assert {S_IMODE(path.stat().st_mode) for path in spill.folder.iterdir()} == {0o600}


def test_what_a_process_that_is_gone_has_left_is_taken_over_in_its_order(opened, volume):
    gone, _ = opened("pod-1")
    for number in range(3):
        gone.add(f"call/{number}.wav", b"x")
    (gone.folder / "000000000009-call%2F9.wav.tmp").write_bytes(b"half")
    gone.close()
    spill, names = opened("pod-2")
    assert names == [f"call/{number}.wav" for number in range(3)]
    assert [name for name, _ in waiting(spill)] == names
    assert [path.name for path in volume.iterdir()] == ["pod-2"]


def test_what_a_living_process_has_is_left_to_it(opened):
    living, _ = opened("pod-1")
    living.add("a", b"1")
    _, names = opened("pod-2")
    assert names == []
    assert waiting(living) == [("a", b"1")]


def test_what_was_taken_over_counts_towards_the_limit(opened):
    gone, _ = opened("pod-1", max_bytes=10)
    gone.add("a", bytes(10))
    gone.close()
    spill, _ = opened("pod-2", max_bytes=10)
    assert not spill.add("b", b"1")
    waiting(spill)


def test_a_folder_that_is_empty_is_removed_at_the_end(opened, volume):
    spill, _ = opened()
    spill.close()
    assert list(volume.iterdir()) == []
