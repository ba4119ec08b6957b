"""Rectangles: none overlaps, all fill the whole."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from moby.machine.inspection import Inspection, Part
from moby.machine.treemap import Box, page, squarified


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=40))
def test_rectangles_have_their_shares_within_the_box(areas: list[int]) -> None:
    box = Box(3, 5, 300, 200)
    shares = sorted(areas, reverse=True)
    found = squarified([float(area) for area in shares], box)
    for area, each in zip(shares, found, strict=True):
        assert abs(each.width * each.height - area / sum(shares) * 60000) < 1
        assert each.x >= 2.99
        assert each.y >= 4.99
        assert each.x + each.width <= 303.01
        assert each.y + each.height <= 205.01


def test_nothing_has_no_area() -> None:
    assert squarified([], Box(0, 0, 1, 1)) == []
    assert squarified([0.0], Box(0, 0, 1, 1)) == [Box(0, 0, 0, 0)]


def test_a_page_needs_nothing_from_elsewhere_and_quotes_names() -> None:
    part = Part("<script>", 1000, 3, "", ("pkg=1",))
    found = Inspection("m & n", 1000, 3, (part, Part("empty", 0, 0)), ())
    text = page(found, {"<script>": {"a/large": 990, "b": 2, "c": 1}})
    seen: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(tag)
            assert not {"src", "href"} & {name for name, _value in attrs}

    Reader().feed(text)
    assert "script" not in seen
    assert seen.count("rect") == 3
    assert "2 smaller files" in text
    assert "m &amp; n: 1000 B in 3 files" in text
