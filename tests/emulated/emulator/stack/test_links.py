"""The links between all pages of the project, and to its files."""

import pytest

from tests.support.documentation import TEXTS, anchors, links


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.name)
def test_links_lead_to_files_and_headings_that_there_are(text):
    lost = [
        f"{target}#{anchor}"
        for target, anchor in links(text)
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]
    assert lost == []


def test_a_link_to_nowhere_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One `word`, two!\n[a](#one-word-two) [b](page.md#gone) [c](https://example.com)\n```\n# no\n```\n"
    )
    assert links(page) == [(page, "one-word-two"), (page, "gone")]
    assert anchors(page) == {"one-word-two"}
