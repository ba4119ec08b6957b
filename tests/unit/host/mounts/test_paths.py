"""Paths in trees that somebody else wrote."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter
from moby.host.mounts import open_beneath, open_without_links, opened_beneath, resolve_in_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with links of every kind, beside something that they must not reach."""
    tree = tmp_path / "root"
    (tree / "run/inner").mkdir(parents=True)
    (tree / "run/file").write_text("inside")
    (tree / "var").mkdir()
    (tree / "var/run").symlink_to("/run")
    (tree / "var/relative").symlink_to("../run")
    (tree / "out").symlink_to("../../../../../../run/file")
    (tree / "loop").symlink_to("loop")
    (tree / "magic").symlink_to("/proc/self/root")
    (tmp_path / "secret").write_text("outside")
    (tree / "secret").symlink_to(tmp_path / "secret")
    return tree


@pytest.fixture
def directory(root: Path) -> Iterator[int]:
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def read(descriptor: int) -> str:
    with open(descriptor) as file:
        return file.read()


@pytest.mark.parametrize(
    "path", ["/run/file", "run/file", "/var/run/file", "var/relative/file", "/out", "../../run/file"]
)
def test_links_lead_inside(directory: int, path: str) -> None:
    assert read(open_beneath(directory, path, os.O_RDONLY)) == "inside"


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("/secret", errno.ENOENT),
        ("/loop", errno.ELOOP),
        ("/absent", errno.ENOENT),
        ("/run/file/x", errno.ENOTDIR),
        ("/magic", errno.ENOENT),
    ],
)
def test_nothing_leads_out(directory: int, path: str, number: int) -> None:
    with pytest.raises(OSError, match=r"\[Errno") as caught:
        open_beneath(directory, path, os.O_RDONLY)
    assert caught.value.errno == number


def test_a_part_is_reached_by_links_that_stay_inside(root: Path) -> None:
    with opened_beneath(root, "var/relative/file") as part:
        assert part.read_text() == "inside"
    for path in ("var/run/file", "secret", "out", "magic"):
        with pytest.raises(InvalidParameter, match="escapes the base directory"), opened_beneath(root, path):
            pass
    with pytest.raises(InvalidParameter, match="cannot access path"), opened_beneath(root, "absent"):
        pass


def test_a_file_is_made_inside(root: Path, directory: int) -> None:
    os.close(open_beneath(directory, "/var/run/made", os.O_WRONLY | os.O_CREAT, 0o640))
    assert (root / "run/made").stat().st_mode & 0o777 == 0o640


def test_a_path_is_resolved(root: Path) -> None:
    assert resolve_in_root(root, "/var/run/inner") == root / "run/inner"
    assert resolve_in_root(root, "/") == root
    with pytest.raises(FileNotFoundError):
        resolve_in_root(root, "/secret")


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("var/run/file", errno.ELOOP),
        ("../secret", errno.EXDEV),
        ("/run/file", errno.EXDEV),
        ("run/../../secret", errno.EXDEV),
    ],
)
def test_without_links_no_detour_is_taken(directory: int, path: str, number: int) -> None:
    assert read(open_without_links(directory, "run/file", os.O_RDONLY)) == "inside"
    with pytest.raises(OSError, match=r"\[Errno") as caught:
        open_without_links(directory, path, os.O_RDONLY)
    assert caught.value.errno == number
