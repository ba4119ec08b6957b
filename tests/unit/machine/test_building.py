"""Bad input to a build: status 1, one clear line with file and line, and nothing half-written where it would go."""

from __future__ import annotations

import asyncio
import errno
import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from moby.cli.moby import run
from moby.machine.building import Order, Settings, build
from moby.machine.initrd import compressed
from tests.unit.machine.made import archive, layer, member

KERNEL = "kernel: {image: ./kernel.tar, tar: none}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where images lie beside the assembly."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "kernel.tar").write_bytes(archive(layer(member("kernel", b"bzImage"))))
    (tmp_path / "app.tar").write_bytes(archive(layer(member("app", b"app"), member("etc/x", b"x"))))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a-initrd.img").write_text("as before")
    return tmp_path


def refused(folder: Path, text: str, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line that is said, when nothing has changed."""
    (folder / "a.yml").write_text(text)
    assert run(["build", "-q", str(folder / "a.yml"), "-o", str(folder / "out"), *words]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert [path.name for path in (folder / "out").iterdir()] == ["a-initrd.img"]
    assert (folder / "out" / "a-initrd.img").read_text() == "as before"
    return said.err


@pytest.mark.parametrize(("text", "said"), [
    pytest.param(KERNEL + "service: []\n", "a.yml:2: service: unknown key 'service' (did you mean 'services'?)", id="key"),
    pytest.param(KERNEL + "services:\n - {name: a, image: ./app.tar, readonly: maybe}\n",
                 "a.yml:3: services[0].readonly: Expected `bool | null`, got `str`", id="type"),
    pytest.param(KERNEL + "services:\n - {name: a, image: ./app.tar}\n - {name: a, image: ./app.tar}\n",
                 "a.yml:4: services[1].name: 'a' is there already, at a.yml:3", id="name twice"),
    pytest.param(KERNEL + "services:\n - name: a\n   image: ./app.tar\n   binds: ['data:/data']\n",
                 "a.yml:5: services[0].binds: there is no volume 'data'", id="bind of no volume"),
    pytest.param(KERNEL + "services:\n - name: a\n   image: ./app.tar\n   binds: ['/srv/gone:/data']\n",
                 "a.yml:5: services[0].binds: there is no /srv/gone in the machine", id="bind of nothing"),
    pytest.param(KERNEL + "files:\n - {path: a, contents: x}\n - {path: a, contents: y}\n",
                 "a.yml:4: files[1].path: a is there already, as files[0]", id="files that conflict"),
    pytest.param("init: [./app.tar]\n" + KERNEL + "files:\n - {path: etc, contents: x}\n - {path: etc/x, contents: y}\n",
                 "a.yml:5: files[1].path: etc/x cannot be below a file", id="file above a file"),
    pytest.param("kernel:\n  image: ./app.tar\n", "a.yml:1: kernel.binary: there is no 'kernel' in the image", id="no kernel in it"),
    pytest.param(KERNEL.replace("}", ", ucode: intel.cpio}"), "a.yml:1: kernel.ucode: there is no 'intel.cpio'", id="no microcode"),
    pytest.param(KERNEL + "files:\n - path: a\n   contents: x\n   uid: who\n", "a.yml:5: files[0].uid: cannot find id: who", id="nobody's file"),
    pytest.param("files:\n - {path: a, contents: x}\noutputs:\n - {format: kernel+initrd}\n",
                 "a.yml:4: outputs[0].format: kernel+initrd: needs a kernel", id="no kernel"),
    pytest.param(KERNEL + "outputs:\n - {format: raw-uefi}\n",
                 "a.yml:3: outputs[0].format: no output format 'raw-uefi' (did you mean 'raw-efi'?)", id="format"),
    pytest.param(KERNEL + "services:\n - {name: a, image: ./gone.tar}\n",
                 "a.yml:3: services[0].image: ./gone.tar: ", id="no such image"),
    pytest.param(KERNEL + "files:\n - {path: a, source: gone}\n", "a.yml:3: files[0]: /", id="no such source"),
    pytest.param("kernel: [\n", "a.yml:2: ", id="no yaml"),
])  # fmt: skip
def test_what_is_wrong_is_one_line(
    text: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(folder, text, capsys).removeprefix("moby: ").startswith(said)


def test_a_bind_of_what_is_made_at_the_start_is_right(folder: Path) -> None:
    text = (
        KERNEL + "init: [./app.tar]\nservices:\n - name: a\n   image: ./app.tar\n"
        "   binds: ['/etc/x:/x', '/etc/resolv.conf:/r', '/run/y:/y', '/srv/data:/data', '/opt/file:/file']\n   runtime: {mkdir: [/srv/data, /run/y]}\n"
        "files: [{path: opt/file, contents: x}]\n"
    )
    (folder / "a.yml").write_text(text)
    assert run(["build", "-q", str(folder / "a.yml"), "-f", "tar", "-o", str(folder / "out")]) == 0
    with tarfile.open(folder / "out" / "a.tar") as made:
        # The root may be on a read-only disk.
        assert made.getmember("srv/data").isdir()
        assert "run/y" not in made.getnames()


@pytest.mark.parametrize(("value", "said"), [
    ("capabilities: [CAP_FOO]", "capabilities: unknown capability: CAP_FOO"),
    ("ambient: [CAP_FOO]", "ambient: unknown capability: CAP_FOO"),
    ("uid: who", "uid: cannot find id: who"),
    ("gid: who", "gid: cannot find id: who"),
    ("additionalGids: [who]", "additionalGids: cannot find id: who"),
    ("rlimits: ['FOO,1,2']", "rlimits: unknown limit: FOO"),
    ("oomScoreAdj: 5000", "oomScoreAdj: 5000 is not between -1000 and 1000"),
    ("net: other", "net: 'other' is no namespace"),
    ("pid: other", "pid: 'other' is no namespace"),
    ("tmpfs: [place]", "tmpfs: the place of a mount has to be absolute: 'place'"),
    ("mounts: [{type: foo}]", "mounts: mount type foo is missing destination"),
    ("devices: [{path: sda, type: b}]", "devices: the path of a device has to be absolute, or all: 'sda'"),
    ("command: []", "command: there is none, neither in the image nor in the assembly"),
])  # fmt: skip
def test_what_is_wrong_with_a_container_is_told_with_its_line(
    value: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"{KERNEL}services:\n - name: a\n   image: ./app.tar\n   {value}\n"
    assert refused(folder, text, capsys).startswith(f"moby: a.yml:5: services[0].{said}")


def test_a_name_leads_nowhere_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(folder, KERNEL, capsys, "--name", "../b", "-f", "tar")
    assert said == "moby: '../b' is no name for files (--dir says where they go)\n"


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/../../../b", "..", "/../x"])
def test_a_layer_that_leads_out_is_refused(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.tar").write_bytes(archive(layer(member("app", b"app"), member(name, b"out"))))
    said = refused(folder, KERNEL + "init:\n - ./bad.tar\n", capsys)
    assert said.startswith("moby: a.yml:3: init[0]: layer: ")
    assert "leads out of the root" in said


def test_a_missing_tool_is_told_with_its_package(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_given, **_more: None)
    said = refused(folder, KERNEL + "outputs:\n - {format: kernel+squashfs}\n", capsys)
    assert said == (
        "moby: a.yml:3: outputs[0].format: kernel+squashfs: mksquashfs is not installed (apt-get install squashfs-tools)\n"
    )


def test_no_space_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.rename

    def full(path: Path, target: Path) -> Path:
        if path.name.startswith(".a-initrd"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, target)

    monkeypatch.setattr(Path, "rename", full)
    (folder / "a.yml").write_text(KERNEL + "outputs: [{format: kernel+initrd}]\n")
    assert run(["build", "-q", str(folder / "a.yml"), "-o", str(folder / "out")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("moby: a.yml:2: outputs[0].format: kernel+initrd: cannot write ")
    assert "no space left" in said.lower()
    assert (folder / "out" / "a-initrd.img").read_text() == "as before"
    # What was written before that is whole.
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a-initrd.img", "a-kernel"]


async def test_an_interrupted_build_leaves_what_was_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.yml").write_text(KERNEL + "services: [{name: app, image: ./app.tar}]\n")
    task: list[asyncio.Task[object]] = []
    loop = asyncio.get_running_loop()

    def interrupted(path: Path, chunks: Iterator[bytes]) -> int:
        path.write_bytes(next(iter(chunks)))
        loop.call_soon_threadsafe(task[0].cancel)
        return 0

    monkeypatch.setattr("moby.machine.initrd.write_chunks", interrupted)
    order = Order(folder / "a.yml", "a", folder / "out", papers=False)
    async with asyncio.TaskGroup() as group:
        task.append(group.create_task(build(order, Settings(folder / "cache"))))
        with pytest.raises(asyncio.CancelledError):
            await task[0]
    assert (folder / "out" / "a-initrd.img").read_text() == "as before"
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a-initrd.img", "a-kernel"]


async def test_outputs_of_one_build_have_their_ram_disk_in_common(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = "outputs: [{format: kernel+initrd}, {format: tar-kernel-initrd}, {format: kernel+initrd, compression: gzip}]\n"
    (folder / "a.yml").write_text(KERNEL + outputs + "services: [{name: app, image: ./app.tar}]\n")
    made = []

    def counted(chunks: Iterable[bytes], kind: str) -> Iterator[bytes]:
        made.append(kind)
        return compressed(chunks, kind)

    monkeypatch.setattr("moby.machine.initrd.compressed", counted)
    [_kernel, disk, _cmdline, archive] = await build(
        Order(folder / "a.yml", "a", folder / "out", papers=False), Settings(folder / "cache")
    )
    assert made == ["zstd", "gzip"]
    assert disk.read_bytes().startswith(b"\x1f\x8b")
    assert disk.stat().st_nlink == 1
    await build(
        Order(folder / "a.yml", "b", folder / "out", ["kernel+initrd"], papers=False),
        Settings(folder / "cache"),
    )
    with tarfile.open(archive) as both:
        inside = both.extractfile("initrd.img")
        assert inside is not None
        assert inside.read() == (folder / "out" / "b-initrd.img").read_bytes()


async def test_what_has_not_changed_is_not_written_again(folder: Path) -> None:
    (folder / "a.yml").write_text(KERNEL + "files: [{path: a, source: own}]\n")
    (folder / "own").write_text("one")
    order = Order(folder / "a.yml", "a", folder / "out")
    steps: list[str] = []
    settings = Settings(folder / "cache")
    made = await build(order, settings)
    assert await build(order, settings, steps.append) == made
    assert steps[-1] == "nothing has changed"
    (folder / "own").write_text("two")
    before = made[1].read_bytes()
    assert await build(order, settings) == made
    assert made[1].read_bytes() != before
