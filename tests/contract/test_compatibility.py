"""This file is about the page that says what works: it is what the routes make of it."""

from __future__ import annotations

from pathlib import Path

from moby.api.compatibility import page
from tests.contract.fakes import FakeEngine

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"


async def test_page_is_up_to_date() -> None:
    expected = page(FakeEngine().backends().routes())
    assert PAGE.read_text() == expected, "write it anew: python -m tests.contract.test_compatibility"


if __name__ == "__main__":
    PAGE.write_text(page(FakeEngine().backends().routes()))
