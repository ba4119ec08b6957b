"""This file is about pictures of sizes: rectangles in rectangles, as large as what they stand for.

The page needs nothing but itself: no script, no font, nothing from elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from moby.machine.inspection import Inspection, human

_WIDTH, _HEIGHT = 1200.0, 760.0
_TITLE = 16.0
# What is smaller than this is drawn as one.
_LEAST = 1 / 400
_HUES = 47


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float


def squarified(areas: Sequence[float], box: Box) -> list[Box]:
    """Rectangles of these shares that fill the box, near to squares; the largest share comes first."""
    total = sum(areas)
    if total <= 0 or box.width <= 0 or box.height <= 0:
        return [Box(box.x, box.y, 0, 0) for _ in areas]
    scale = box.width * box.height / total
    scaled = [area * scale for area in areas]
    found: list[Box] = []
    start = 0
    while start < len(scaled):
        side = min(box.width, box.height)
        end = start + 1
        while end < len(scaled) and _worst(scaled[start : end + 1], side) <= _worst(scaled[start:end], side):
            end += 1
        row = scaled[start:end]
        placed, box = _laid(row, box)
        found += placed
        start = end
    return found


def _worst(row: Sequence[float], side: float) -> float:
    """How far from a square the worst of a row is."""
    total, least, most = sum(row), min(row), max(row)
    if least <= 0 or side <= 0:
        return float("inf")
    return max(side * side * most / (total * total), total * total / (side * side * least))


def _laid(row: Sequence[float], box: Box) -> tuple[list[Box], Box]:
    total = sum(row)
    found = []
    if box.width >= box.height:
        thick = total / box.height if box.height else 0
        y = box.y
        for area in row:
            height = area / thick if thick else 0
            found.append(Box(box.x, y, thick, height))
            y += height
        return found, Box(box.x + thick, box.y, max(box.width - thick, 0), box.height)
    thick = total / box.width if box.width else 0
    x = box.x
    for area in row:
        width = area / thick if thick else 0
        found.append(Box(x, box.y, width, thick))
        x += width
    return found, Box(box.x, box.y + thick, box.width, max(box.height - thick, 0))


def page(found: Inspection, sizes: Mapping[str, Mapping[str, int]]) -> str:
    """The page: every part, and in it its files."""
    parts = [part for part in found.parts if part.size]
    boxes = squarified([float(part.size) for part in parts], Box(0, 0, _WIDTH, _HEIGHT))
    drawn = []
    for index, (part, box) in enumerate(zip(parts, boxes, strict=True)):
        hue = index * _HUES % 360
        drawn.append(
            _rectangle(box, f"{part.name}: {human(part.size)}, {part.files} files", f"hsl({hue} 45% 40%)")
        )
        drawn.append(_words(box, f"{part.name} {human(part.size)}", 12))
        inner = Box(box.x + 1, box.y + _TITLE, box.width - 2, box.height - _TITLE - 1)
        files = _grouped(sizes.get(part.name, {}), found.size)
        shapes = squarified([float(size) for _path, size in files], inner)
        for (path, size), shape in zip(files, shapes, strict=True):
            drawn.append(_rectangle(shape, f"{path}: {human(size)}", f"hsl({hue} 45% 62%)"))
            drawn.append(_words(shape, path.rpartition("/")[2], 10))
    rows = "".join(
        f"<tr><td>{human(part.size)}<td>{part.files}"
        f"<td>{escape(part.name)}<td>{escape(' '.join(part.packages))}"
        for part in found.parts
    )
    title = escape(f"{found.name}: {human(found.size)} in {found.files} files")
    return (
        f'<!doctype html><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>'
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img">{"".join(drawn)}</svg>'
        f"<table><tr><th>size<th>files<th>part<th>packages{rows}</table>\n"
    )


_STYLE = (
    "body{font:14px sans-serif;margin:1em}svg{width:100%;height:auto}text{fill:#111;pointer-events:none}"
    "rect{stroke:#fff;stroke-width:.5}td,th{text-align:left;vertical-align:top;padding:.2em 1em .2em 0}"
    "td:first-child,td:nth-child(2){text-align:right;white-space:nowrap}"
)


def _grouped(files: Mapping[str, int], whole: int) -> list[tuple[str, int]]:
    """The files from the largest on; the small ones as one."""
    ordered = sorted(
        ((path, size) for path, size in files.items() if size), key=lambda item: (-item[1], item[0])
    )
    large = [item for item in ordered if item[1] >= whole * _LEAST]
    small = ordered[len(large) :]
    if small:
        large.append((f"{len(small)} smaller files", sum(size for _path, size in small)))
        large.sort(key=lambda item: (-item[1], item[0]))
    return large


def _rectangle(box: Box, title: str, colour: str) -> str:
    if box.width <= 0 or box.height <= 0:
        return ""
    place = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
    return f'<rect {place} fill="{colour}"><title>{escape(title)}</title></rect>'


def _words(box: Box, text: str, size: int) -> str:
    room = int(box.width / (size * 0.6))
    if room < 4 or box.height < size + 3:
        return ""
    shown = text if len(text) <= room else f"{text[: room - 1]}…"
    return f'<text x="{box.x + 3:.1f}" y="{box.y + size:.1f}" font-size="{size}">{escape(shown)}</text>'
