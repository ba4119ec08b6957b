from __future__ import annotations

from pathlib import Path

from moby.cli.moby_reference import page

ROOT = Path(__file__).parents[3]


def test_the_page_says_what_the_commands_say() -> None:
    assert (ROOT / "docs/reference/moby.md").read_text() == page()
