"""What a container changed in its image's files, by the two directories alone."""

import os
import resource
import tempfile
from pathlib import Path

import pytest

from moby.core.types.containers import FilesystemChange
from moby.engine.containers.changes import ADDED, DELETED, MODIFIED, compare
from moby.host.archives.removal import remove_tree


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    (tmp_path / "upper").mkdir()
    return tmp_path / "upper"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "image").mkdir()
    return tmp_path / "image"


def compared(upper: Path, image: Path, *ours: str) -> dict[str, int]:
    descriptors = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (upper, image)]
    try:
        found = compare(descriptors[0], descriptors[1], ours.__contains__)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    assert [change.path for change in found] == sorted(change.path for change in found)
    assert all(isinstance(change, FilesystemChange) for change in found)
    return {change.path: change.kind for change in found}


def test_new_and_changed_files(upper: Path, image: Path) -> None:
    (image / "etc").mkdir()
    (image / "etc/old").write_text("1")
    (upper / "etc").mkdir()
    (upper / "etc/old").write_text("2")
    (upper / "etc/new").write_text("3")
    assert compared(upper, image) == {"/etc": MODIFIED, "/etc/old": MODIFIED, "/etc/new": ADDED}


def test_mount_points_are_not_the_containers_own(upper: Path, image: Path) -> None:
    (image / "etc").mkdir()
    (upper / "etc").mkdir()
    (upper / "etc/hosts").touch()
    (upper / "data").mkdir()
    assert compared(upper, image, "etc/hosts", "data") == {}


def test_an_empty_directory_counts(upper: Path, image: Path) -> None:
    (upper / "empty").mkdir()
    assert compared(upper, image) == {"/empty": ADDED}


def test_what_is_below_a_mount_point_counts_with_those_above(upper: Path, image: Path) -> None:
    (upper / "run/data").mkdir(parents=True)
    (upper / "run/data/file").touch()
    assert compared(upper, image, "run/data") == {"/run": ADDED, "/run/data/file": ADDED}


def test_a_link_in_the_image_leads_nowhere(upper: Path, image: Path, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host/passwd").touch()
    (image / "etc").symlink_to(tmp_path / "host")
    (upper / "etc").mkdir()
    (upper / "etc/passwd").touch()
    assert compared(upper, image) == {"/etc": MODIFIED, "/etc/passwd": ADDED}


def test_a_link_in_the_container_is_not_followed(upper: Path, image: Path, tmp_path: Path) -> None:
    (upper / "way").symlink_to(tmp_path)
    assert compared(upper, image) == {"/way": ADDED}


@pytest.mark.skipif(os.geteuid() != 0, reason="making a whiteout needs root")
def test_whiteouts_are_deletions(upper: Path, image: Path) -> None:
    (image / "gone").touch()
    os.mknod(upper / "gone", 0o020000, 0)
    assert compared(upper, image) == {"/gone": DELETED}


def test_a_tree_deeper_than_the_stack(image: Path) -> None:
    depth = 1500
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    # Not in the folder of the test: what removes that cannot go so deep.
    folder = Path(tempfile.mkdtemp(prefix="moby-deep-"))
    above = os.open(folder, os.O_RDONLY)
    try:
        (folder / "upper").mkdir()
        descriptor = os.open(folder / "upper", os.O_RDONLY)
        for _ in range(depth):
            os.mkdir("d", dir_fd=descriptor)
            below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        os.close(descriptor)
        assert len(compared(folder / "upper", image)) == depth
    finally:
        remove_tree(above, "upper")
        os.close(above)
        folder.rmdir()
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
