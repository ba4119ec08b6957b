"""The files of a log, taken away under the hands of who writes it."""

from __future__ import annotations

from pathlib import Path

from moby.logs.rotation import RotatedFile, Rotation, remove_files


def lines(block: bytes) -> list[bytes]:
    return block.splitlines(keepends=True)


def test_a_log_that_was_emptied_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    file = RotatedFile(str(path), Rotation(size=10, files=3), lambda descriptor, path, size: size)
    for number in range(10):
        file.put(b"line %d\n" % number, lines)
    (tmp_path / "x.log.other").touch()
    remove_files(str(path))
    assert [one.name for one in tmp_path.iterdir()] == ["x.log.other"]
    file.put(b"after\n", lines)
    assert path.read_bytes() == b"after\n"
    file.put(b"more lines\n", lines)
    file.put(b"last\n", lines)
    assert path.read_bytes() == b"last\n"
    file.close()


def test_emptying_what_is_not_there(tmp_path: Path) -> None:
    remove_files(str(tmp_path / "x.log"))
