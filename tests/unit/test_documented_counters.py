"""Every counter of the media gateway has its line in the operator's manual, and every line its counter."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
MANUAL = REPOSITORY / "docs" / "operating.md"
COUNTED = re.compile(r'counters\[f?"([^"]+)"\]|"(recording_parts_[a-z]+)"')
"""Names are written where something is counted, but for those of parts, which are passed on first."""
PLACEHOLDER = re.compile(r"\{[^}]*\}|<[^>]*>")


def plain(name):
    return PLACEHOLDER.sub("<>", name)


def counters_in_the_code():
    for source in (REPOSITORY / "media_gateway").rglob("*.py"):
        for named, passed_on in COUNTED.findall(source.read_text()):
            yield plain(named or passed_on)


def counters_in_the_manual():
    section = MANUAL.read_text().partition("### Counters of a pod")[2]
    for row in re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE):
        yield from map(plain, re.findall(r"`([^`]+)`", row))


def test_the_manual_has_each_counter_once_and_no_other():
    documented = list(counters_in_the_manual())
    assert sorted(documented) == sorted(set(counters_in_the_code()))
