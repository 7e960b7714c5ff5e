"""The release that both processes name is the code they share, and nothing else."""

from shared.release import DIGEST_CHARS, digest_of, release


def test_a_process_names_the_code_it_runs():
    assert len(release()) == DIGEST_CHARS
    assert set(release()) <= set("0123456789abcdef")


def test_a_changed_a_new_and_a_renamed_file_are_another_release(tmp_path):
    def release_with(name, text):
        file = tmp_path / name
        file.write_text(text)
        return digest_of(tmp_path)

    releases = [
        release_with("a.py", "x = 1\n"),
        release_with("a.py", "x = 2\n"),
        release_with("b.json", "{}"),
    ]
    (tmp_path / "b.json").rename(tmp_path / "c.json")
    releases.append(digest_of(tmp_path))
    assert len(set(releases)) == len(releases)


def test_what_python_writes_and_how_lines_end_is_no_difference(tmp_path):
    (tmp_path / "a.py").write_bytes(b"x = 1\ny = 2\n")
    before = digest_of(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"compiled")
    (tmp_path / "a.py").write_bytes(b"x = 1\r\ny = 2\r\n")
    assert digest_of(tmp_path) == before
