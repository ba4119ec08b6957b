"""/proc/self/mountinfo."""

from __future__ import annotations

from pathlib import Path

from moby.host.mounts.table import is_mount_point, mount_of, mount_table, parse_mountinfo

TEXT = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 22 0:26 / /mnt/with\\040space\\011tab rw,nosuid shared:2 master:1 - tmpfs tmp\\134fs rw,size=64k
31 22 0:27 /sub /mnt/none ro - fuse.sshfs host:/a rw
broken line
"""


def test_a_table_is_read() -> None:
    root, spaced, plain = parse_mountinfo(TEXT)
    assert (root.id, root.parent, root.target, root.type, root.source) == (22, 1, "/", "ext4", "/dev/sda1")
    assert root.shared
    assert not root.slave
    assert (spaced.target, spaced.source, spaced.peers, spaced.master) == (
        "/mnt/with space\ttab",
        "tmp\\fs",
        2,
        1,
    )
    assert spaced.slave
    assert (plain.root, plain.options, plain.shared, plain.super_options) == ("/sub", ("ro",), False, ("rw",))


def test_our_own_table_is_read() -> None:
    targets = [entry.target for entry in mount_table()]
    assert "/proc" in targets
    assert is_mount_point(Path("/proc"))
    assert not is_mount_point(Path("/proc/self"))
    assert mount_of(Path("/proc/self/status")).target == "/proc"


def test_links_are_followed_to_the_mount(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc")
    assert mount_of(tmp_path / "link" / "version").target == "/proc"
