"""The directories of overlays, and descriptions taken over from below."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from moby.core.snapshots import Mount
from moby.host.mounts import Overlay, describe_as_below, overlay_of


def test_mounts_say_where_the_directories_are(tmp_path: Path) -> None:
    upper = str(tmp_path)
    assert overlay_of([Mount("bind", upper, ("rw", "rbind"))]) == Overlay(tmp_path)
    options = ("index=off", f"workdir={upper}/w", f"upperdir={upper}", "lowerdir=/a:/b\\:c:/d")
    assert overlay_of([Mount("overlay", "overlay", options)]) == Overlay(
        tmp_path, (Path("/a"), Path("/b:c"), Path("/d"))
    )


def test_other_mounts_are_no_overlays(tmp_path: Path) -> None:
    place = str(tmp_path)
    for mounts in (
        [],
        [Mount("bind", place, ("ro", "rbind"))],
        [Mount("bind", f"{place}/missing", ("rw",))],
        [Mount("overlay", "overlay", (f"lowerdir={place}:{place}",))],
        [Mount("overlay", "overlay", (f"upperdir={place}", f"lowerdir={place}", "userxattr"))],
        [Mount("btrfs", place, ("subvolid=1",))],
        [Mount("bind", place), Mount("bind", place)],
    ):
        assert overlay_of(mounts) is None


def lay(root: Path, *paths: str, mode: int = 0o755) -> None:
    for path in paths:
        (root / path).mkdir(parents=True, exist_ok=True)
        (root / path).chmod(mode)


def implied(root: Path, *paths: str) -> dict[int, str]:
    return {(root / path).stat().st_ino: path for path in paths}


def test_implied_directories_are_described_as_the_topmost_below(tmp_path: Path) -> None:
    upper, middle, bottom = (tmp_path / name for name in ("upper", "middle", "bottom"))
    lay(upper, "tmp", "a/b", "new", "described")
    lay(bottom, "a/b", mode=0o711)
    lay(bottom, "tmp", "described", mode=0o1777)
    lay(middle, "a", mode=0o750)
    os.utime(bottom / "tmp", (5, 7))
    describe_as_below(Overlay(upper, (middle, bottom)), implied(upper, "tmp", "a", "a/b", "new"))
    modes = {
        name: stat.S_IMODE((upper / name).stat().st_mode) for name in ("tmp", "a", "a/b", "new", "described")
    }
    assert modes == {"tmp": 0o1777, "a": 0o750, "a/b": 0o711, "new": 0o755, "described": 0o755}
    assert (upper / "tmp").stat().st_mtime == 7


def test_what_is_hidden_below_describes_nothing(tmp_path: Path) -> None:
    upper, middle, bottom = (tmp_path / name for name in ("upper", "middle", "bottom"))
    lay(upper, "f/x", "l/x")
    lay(bottom, "f/x", "l/x", mode=0o700)
    middle.mkdir()
    (middle / "f").write_text("a file")
    (middle / "l").symlink_to("/")
    describe_as_below(Overlay(upper, (middle, bottom)), implied(upper, "f", "f/x", "l", "l/x"))
    for name in ("f", "f/x", "l", "l/x"):
        assert stat.S_IMODE((upper / name).stat().st_mode) == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="trusted attributes are root's")
def test_opaque_directories_hide_what_is_below(tmp_path: Path) -> None:
    upper, middle, bottom = (tmp_path / name for name in ("upper", "middle", "bottom"))
    lay(upper, "d/x")
    lay(middle, "d", mode=0o711)
    os.setxattr(middle / "d", "trusted.overlay.opaque", b"y")
    lay(bottom, "d/x", mode=0o700)
    describe_as_below(Overlay(upper, (middle, bottom)), implied(upper, "d", "d/x"))
    assert stat.S_IMODE((upper / "d").stat().st_mode) == 0o711
    assert stat.S_IMODE((upper / "d/x").stat().st_mode) == 0o755
    assert not os.listxattr(upper / "d")


def test_a_directory_that_became_another_keeps_its_own(tmp_path: Path) -> None:
    upper, bottom = tmp_path / "upper", tmp_path / "bottom"
    lay(upper, "d")
    lay(bottom, "d", mode=0o700)
    describe_as_below(Overlay(upper, (bottom,)), {1: "d", 2: "gone"})
    assert stat.S_IMODE((upper / "d").stat().st_mode) == 0o755
