from __future__ import annotations

from pathlib import Path

from moby.cli.reference import page

ROOT = Path(__file__).parents[3]


def test_the_page_says_what_the_settings_say() -> None:
    assert (ROOT / "docs/reference/mobyd.md").read_text() == page()
