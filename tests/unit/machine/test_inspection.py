"""What a file system is made of, by images and by directories."""

from __future__ import annotations

from pathlib import Path

from moby.machine.cache import ImageCache
from moby.machine.inspection import OWN, as_text, human, inspect, sizes
from moby.machine.opening import Opened
from moby.machine.tree import Node, Tree
from tests.unit.machine.made import kept, layer, member


def tree() -> Tree:
    found = Tree()
    found.put("bin/a", Node(content=b"x" * 3000, origin="one"))
    found.put("bin/b", Node(content=b"x" * 100, origin="two"))
    found.link("bin/hard", "bin/a")
    found.put("bin/soft", Node("symlink", target="a", origin="two"))
    found.put("etc/made", Node(content=b"12345"))
    found.put("etc/said", Node(content=b"1", origin="files"))
    return found


def test_a_machine_is_told_by_image(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path)
    cache.prepare()
    images = {name: kept(cache, tmp_path, layer(member(name, b"x"))) for name in ("one", "two")}
    found = inspect(Opened("m.yml", tree(), images, cache))
    assert (found.size, found.files) == (3106, 4)
    assert [(part.name, part.size, part.files) for part in found.parts] == [
        ("one", 3000, 1),
        ("two", 100, 1),
        (OWN, 6, 2),
    ]
    assert found.parts[0].digest == images["one"].target.digest
    assert found.largest[0].path == "bin/a"
    assert "   2.9 KiB       1  one" in as_text(found)


def test_an_image_is_told_by_directory() -> None:
    opened = Opened("i", tree())
    assert {name: sum(files.values()) for name, files in sizes(opened).items()} == {"/bin": 3100, "/etc": 6}


def test_sizes_for_people() -> None:
    assert [human(size) for size in (0, 1023, 1024, 5 << 20, 3 << 40)] == [
        "0 B", "1023 B", "1.0 KiB", "5.0 MiB", "3072.0 GiB",
    ]  # fmt: skip
