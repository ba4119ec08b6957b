"""Every form that a machine is written in: whole, the same bytes each time, and what it should be."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, MobyError, NotFound
from moby.core.platform import Platform
from moby.framework.machine import Output
from moby.machine import native
from moby.machine.archives import take_in
from moby.machine.cache import ImageCache
from moby.machine.formats import FORMATS, check_format, writer
from moby.machine.grub import FOLDER
from moby.machine.image_roots import image_tree
from moby.machine.job import Job, scratch_folder
from moby.machine.rootfs import CMDLINE, KERNEL
from moby.machine.sparse import pieces
from moby.machine.tree import Node, Tree
from tests.leftovers import clear_faketime

AMD64, ARM64 = Platform("amd64", "linux"), Platform("arm64", "linux")
TOOLS_WITH_DATES = (
    "mcopy",
    "mmd",
    "xorriso",
    "qemu-img",
    "mkfs.vfat",
    "sfdisk",
    "grub-mkimage",
    "mkfs.erofs",
    "mksquashfs",
)
# What each needs beside the standard library.
TOOLS = {
    "kernel+squashfs": ["mksquashfs", "fakeroot"],
    "kernel+iso": ["xorriso", "fakeroot"],
    "kernel+erofs": ["mkfs.erofs", "fakeroot"],
    "iso-bios": ["xorriso", "grub-mkimage"],
    "iso-efi": ["xorriso", "grub-mkimage", "mkfs.vfat", "mcopy"],
    "iso-efi-initrd": ["xorriso", "grub-mkimage", "mkfs.vfat", "mcopy"],
    "rpi3": ["sfdisk", "mkfs.vfat", "mcopy"],
} | {
    name: ["sfdisk", "grub-mkimage", "mkfs.vfat", "mcopy", "qemu-img"]
    for name in ("raw-bios", "raw-efi", "qcow2-bios", "qcow2-efi", "vmdk", "vhd", "dynamic-vhd", "gcp", "aws")
}


def can_be_made(name: str) -> bool:
    """Is everything there that a form needs?"""
    try:
        for tool in TOOLS.get(name, []):
            native.program(tool)
    except NotFound:
        return False
    target = "x86_64-efi" if "efi" in name else "i386-pc"
    return "grub-mkimage" not in TOOLS.get(name, []) or (FOLDER / target).is_dir()


def needed(name: str) -> None:
    """Skips unless everything is there that a form needs."""
    if not can_be_made(name):
        pytest.skip(f"not all that {name} needs is installed")


def root(*, attributes: bool = True) -> Tree:
    tree = Tree()
    for name in ("bootcode.bin", "fixup.dat", "start.elf"):
        tree.put(f"usr/lib/raspi-firmware/{name}", Node(content=name.encode()))
    tree.put("usr/lib/linux/broadcom/bcm2837-rpi-3-b.dtb", Node(content=b"board"))
    tree.put(KERNEL, Node(content=b"MZ kernel" * 1000))
    tree.put(CMDLINE, Node(content=b"console=ttyS0 quiet='a b'"))
    ping = Node(mode=0o755, uid=5, gid=6, content=b"ping")
    if attributes:
        ping.attributes["security.capability"] = b"\1\0\0\2" + bytes(16)
    tree.put("bin/ping", ping)
    tree.put("bin/pong", ping)
    tree.put("usr/share/words", Node(content=b"word " * 20000))
    tree.put("etc/link", Node("symlink", 0o777, target="../bin/ping"))
    tree.put("dev/null", Node("char", 0o666, device=(1, 3)))
    tree.put("srv", Node("directory", 0o1777, 7, 8))
    return tree


async def made(name: str, folder: Path, tree: Tree | None = None, **options: str) -> list[Path]:
    platform = ARM64 if name == "rpi3" else AMD64
    with scratch_folder(folder) as scratch:
        job = Job(tree or root(), "machine", folder, scratch, 86400, Output(name, **options), platform)  # type: ignore[arg-type]
        return await writer(name)(job)


def main(folder: Path) -> None:
    """Writes every form that can be written here: what an ordinary user calls."""
    for name in FORMATS:
        if can_be_made(name):
            asyncio.run(made(name, folder / name, root(attributes=False)))


def contents(paths: list[Path]) -> dict[str, tuple[int, str]]:
    """Each file's size and a hash of what is in it; of most disks a gigabyte is empty."""
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o644}
    found = {}
    for path in paths:
        whole = hashlib.sha256()
        for offset, chunk in pieces(path):
            whole.update(b"%d:" % offset + chunk)
        found[path.name] = (path.stat().st_size, whole.hexdigest())
    return found


@pytest.mark.parametrize("name", list(FORMATS))
async def test_a_form_is_the_same_bytes_wherever_and_whenever(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed(name)
    clear_faketime()
    paths = await made(name, tmp_path / "one")
    assert sorted((tmp_path / "one").iterdir()) == sorted(paths)
    for tool in TOOLS_WITH_DATES:
        later(tool, tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    before = os.umask(0o077)
    try:
        again = await made(name, tmp_path / "another")
    finally:
        os.umask(before)
    assert contents(paths) == contents(again)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that others may enter: pytest closes its own to them whenever it is started again."""
    with tempfile.TemporaryDirectory(prefix="mobyt-", dir="/var/tmp") as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="becomes somebody else")
async def test_an_ordinary_user_gets_the_same_bytes_as_root(tmp_path: Path, open_path: Path) -> None:
    root_made, user_made = tmp_path / "root", open_path / "user"
    source = Path(__file__).resolve().parents[3]
    code = f"import sys; from pathlib import Path; sys.path[:0] = [{str(source)!r}, {str(source / 'src')!r}];"
    code += f"from tests.unit.machine.test_formats import main; main(Path({str(user_made)!r}))"
    asked = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"]
    if subprocess.run(
        [*asked, sys.executable, "-c", f"import os; os.stat({__file__!r})"], check=False
    ).returncode:
        pytest.skip("an ordinary user cannot read the tests")
    user_made.mkdir()
    os.chown(user_made, 65534, 65534)
    environment = {**os.environ, "HOME": str(user_made), "PYTHONDONTWRITEBYTECODE": "1", "TZ": "Asia/Tokyo"}
    subprocess.run([*asked, sys.executable, "-c", code], check=True, env=environment, umask=0o077, cwd="/")
    for name in (path.name for path in user_made.iterdir()):
        found = await made(name, root_made / name, root(attributes=False))
        assert contents(found) == contents(list((user_made / name).iterdir())), name
    assert len(list(user_made.iterdir())) == sum(map(can_be_made, FORMATS))


async def test_a_raspberrys_card_has_its_firmware_kernel_and_board(tmp_path: Path) -> None:
    needed("rpi3")
    [card] = await made("rpi3", tmp_path)
    part = f"{card}@@{2048 * 512}"
    listed = subprocess.run(
        ["mdir", "-b", "-/", "-i", part, "::"], capture_output=True, text=True, check=True
    ).stdout
    wanted = {
        "bootcode.bin",
        "start.elf",
        "fixup.dat",
        "config.txt",
        "cmdline.txt",
        "kernel8.img",
        "initrd.img",
        "bcm2837-rpi-3-b.dtb",
    }
    assert {name.removeprefix("::/") for name in listed.split()} == wanted
    settings = subprocess.run(
        ["mtype", "-i", part, "::/config.txt"], capture_output=True, text=True, check=True
    ).stdout
    assert "arm_64bit=1" in settings
    bare = root()
    bare.remove("usr/lib/raspi-firmware")
    with pytest.raises(NotFound, match=r"firmware bootcode\.bin") as error:
        await made("rpi3", tmp_path / "bare", bare)
    assert error.value.hint == "moby/raspi-firmware in init"


async def test_a_root_on_a_cd_keeps_owners_links_and_devices(tmp_path: Path) -> None:
    needed("kernel+iso")
    disk = (await made("kernel+iso", tmp_path))[0]
    listed = subprocess.run(
        ["xorriso", "-indev", disk, "-find", "/", "-exec", "lsdl"], capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r"^crw-rw-rw-.* 1,3 .*'/dev/null'$", listed, re.MULTILINE)
    assert re.search(r"^drwxrwxrwt.* 7 +8 .*'/srv'$", listed, re.MULTILINE)
    assert re.search(r"^-rwxr-xr-x.* 5 +6 .*'/bin/ping'$", listed, re.MULTILINE)
    assert "'/etc/link' -> '../bin/ping'" in listed
    # Only with an entry of that name Linux reads the file uncompressed.
    entries = re.findall(rb"ZF\x10\x01pz\x04\x0f(.{4})", disk.read_bytes(), re.DOTALL)
    assert entries == [(20000 * len("word ")).to_bytes(4, "little")]


def later(tool: str, folder: Path) -> None:
    """Lets a program believe that it is ten years later, where faketime is installed."""
    faketime = shutil.which("faketime")
    folder.mkdir(exist_ok=True)
    try:
        real = native.program(tool)
    except NotFound:
        return
    if faketime is not None:
        (folder / tool).write_text(f'#!/bin/sh\nNO_FAKE_STAT=1 exec {faketime} -f +10y {real} "$@"\n')
        (folder / tool).chmod(0o755)


@pytest.mark.parametrize("name", ["raw-bios", "raw-efi"])
async def test_a_disk_has_one_partition_with_all_that_boots(name: str, tmp_path: Path) -> None:
    needed(name)
    [disk] = await made(name, tmp_path, size="64M")
    assert disk.stat().st_size == 64 << 20
    table = subprocess.run(
        [native.program("sfdisk"), "-d", disk], capture_output=True, text=True, check=True
    ).stdout
    assert "start=        2048" in table
    assert ("label: gpt" if name == "raw-efi" else "label: dos") in table
    part = f"{disk}@@{2048 * 512}"
    listed = subprocess.run(
        ["mdir", "-b", "-/", "-i", part, "::"], capture_output=True, text=True, check=True
    ).stdout
    assert {"::/kernel", "::/initrd.img"} <= set(listed.split())
    assert ("::/EFI/BOOT/BOOTX64.EFI" in listed) == (name == "raw-efi")
    with disk.open("rb") as file:
        start = file.read(1024)
    assert start[510:512] == b"\x55\xaa"
    if name == "raw-bios":
        assert struct.unpack_from("<Q", start, 0x5C)[0] == 1
        assert struct.unpack_from("<QHH", start, 1024 - 12)[0] == 2


async def test_a_disk_that_is_too_small_is_told(tmp_path: Path) -> None:
    needed("raw-bios")
    with pytest.raises(InvalidParameter, match="its disk has 2M"):
        await made("raw-bios", tmp_path, size="2M")
    with pytest.raises(InvalidParameter, match="'x' is no size"):
        await made("raw-bios", tmp_path, size="x")
    assert list(tmp_path.iterdir()) == []


async def test_googles_archive_holds_a_disk_of_whole_gigabytes(tmp_path: Path) -> None:
    needed("gcp")
    [path] = await made("gcp", tmp_path, size="100M")
    with tarfile.open(path) as archive:
        [member] = archive.getmembers()
    assert (member.name, member.size, member.mtime) == ("disk.raw", 1 << 30, 86400)
    assert path.stat().st_size < 1 << 20


async def test_a_root_for_a_read_only_disk_keeps_owners_and_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed("kernel+squashfs")
    if os.geteuid() == 0:
        # Whoever builds it must not show.
        wrapper = tmp_path / "bin" / "fakeroot"
        wrapper.parent.mkdir()
        wrapper.write_text(
            f'#!/bin/sh\nexec setpriv --regid 65534 --clear-groups {native.program("fakeroot")} "$@"\n'
        )
        wrapper.chmod(0o755)
        monkeypatch.setenv("PATH", str(wrapper.parent), prepend=":")
        monkeypatch.setattr("os.getegid", lambda: 65534)
    disk = (await made("kernel+squashfs", tmp_path / "out"))[0]
    listed = subprocess.run(["unsquashfs", "-lln", disk], capture_output=True, text=True, check=True).stdout
    assert "crw-rw-rw- 0/0" in listed
    assert "65534" not in listed
    assert "drwxrwxrwt 7/8" in listed
    assert "5/6" in listed


async def test_an_image_of_a_container_is_one_that_others_read(tmp_path: Path) -> None:
    [path] = await made("oci", tmp_path)
    cache = ImageCache(tmp_path / "cache")
    [(name, target)] = take_in(cache, path)
    assert name == "docker.io/library/machine:latest"
    tree = image_tree(cache, cache.image(target, AMD64))
    ping = tree.get("bin/ping")
    assert ping is not None
    assert ping is tree.get("bin/pong")
    assert ping.attributes["security.capability"] == b"\1\0\0\2" + bytes(16)
    assert KERNEL not in tree


async def test_a_tool_that_is_missing_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_given, **_more: None)
    with pytest.raises(NotFound, match="mksquashfs is not installed") as error:
        await made("kernel+squashfs", tmp_path)
    assert error.value.hint == "apt-get install squashfs-tools"
    assert list(tmp_path.iterdir()) == []


async def test_a_tool_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    failing = tmp_path / "bin" / "mksquashfs"
    failing.write_text("#!/bin/sh\necho 'no room' >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    out = tmp_path / "out"
    out.mkdir()
    (out / "machine-squashfs.img").write_text("old")
    with pytest.raises(MobyError, match="mksquashfs: no room"):
        await made("kernel+squashfs", out)
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("machine-squashfs.img", "old")]


def test_what_is_no_form_is_told_with_those_that_are() -> None:
    with pytest.raises(InvalidParameter, match=r"no output format 'iso' \(did you mean") as error:
        check_format("iso")
    assert "raw-efi" in str(error.value.hint)
