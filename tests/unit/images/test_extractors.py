"""Layers that processes of their own unpack."""

from __future__ import annotations

import gzip
import io
import os
import resource
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, System
from moby.host.watched import process_lives
from moby.images.extractors import Extractor, Extractors
from moby.images.layer_stream import LayerStream, Unpacked, Unpacking


def tar(*members: tuple[str, bytes, dict[str, object]]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content, fields in members:
            info = tarfile.TarInfo(name)
            info.size, info.uid, info.gid, info.mode = len(content), os.getuid(), os.getgid(), 0o640
            for key, value in fields.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


GOOD = tar(
    ("a/b/file", b"content" * 50_000, {"mtime": 1_000}),
    ("a/b/program", b"#!", {"mode": 0o4755}),
    ("a/b/closed", b"", {"mode": 0o000}),
    ("a/b/open", b"", {"mode": 0o666}),
    ("a/b/link", b"", {"type": tarfile.SYMTYPE, "linkname": "/file"}),
    ("a/caf\udce9", b"no utf-8", {}),
    ("d", b"", {"type": tarfile.DIRTYPE, "mode": 0o1777, "mtime": 2_000}),
)


@pytest.fixture
async def extractors() -> AsyncIterator[Extractors]:
    found = Extractors()
    async with found.held():
        yield found
    assert found._control is None
    assert not process_lives(found._pid)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "root").mkdir()
    descriptor = os.open(tmp_path / "root", os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def unpacked(unpacking: Unpacking, data: bytes) -> Unpacked:
    try:
        step = 10_000 if len(data) < 1 << 20 else 1_000_000
        for begin in range(0, len(data), step):
            unpacking.take([data[begin : begin + step]])
        return unpacking.end()
    finally:
        unpacking.close()


def only_child(pid: int) -> int:
    """The process that another one forks, as soon as it does."""
    while not (found := Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        time.sleep(0.01)
    (child,) = map(int, found)
    return child


def ended(*pids: int) -> bool:
    """Have they, or do they within a while?"""
    deadline = time.monotonic() + 30
    while any(map(process_lives, pids)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(map(process_lives, pids))


def listing(directory: Path) -> list[tuple[str, int, int, bytes]]:
    found = []
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        moment = 0 if str(path.relative_to(directory)) in ("a", "a/b") else status.st_mtime_ns
        found.append((str(path.relative_to(directory)), status.st_mode, moment, content))
    return found


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_process_makes_what_a_thread_makes(
    extractors: Extractors, root: int, tmp_path: Path, packed: bool
) -> None:
    data = gzip.compress(GOOD) if packed else GOOD
    found = unpacked(Extractor(extractors, "", root, lowest=True), data)
    (tmp_path / "other").mkdir()
    other = os.open(tmp_path / "other", os.O_RDONLY)
    try:
        expected = unpacked(LayerStream("", other, lowest=True), data)
    finally:
        os.close(other)
    assert found.diff_id == expected.diff_id
    assert found.hides == expected.hides
    assert sorted(found.implied.values()) == sorted(expected.implied.values()) == ["a", "a/b"]
    assert listing(tmp_path / "root") == listing(tmp_path / "other")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(tar(("../out", b"", {})), "outside of the layer", id="leads out"),
        pytest.param(gzip.compress(GOOD)[:-100], "unexpected EOF", id="cut off"),
        pytest.param(b"no archive, certainly" * 100, "invalid tar header", id="no archive"),
        pytest.param(b"\xfd7zXZ\x00" + bytes(600), "compressed with xz are not supported", id="xz"),
        pytest.param(
            tar(("x", b"", {"type": tarfile.LNKTYPE, "linkname": "missing/\udce9"})),
            "failed to extract layer sha256:abc: /x: no such file or directory",
            id="no target",
        ),
    ],
)
def test_what_is_no_layer_is_refused_in_the_same_words(
    extractors: Extractors, root: int, data: bytes, words: str
) -> None:
    told = []
    for unpacking in (
        LayerStream("sha256:abc", root, lowest=True),
        Extractor(extractors, "sha256:abc", root, lowest=True),
    ):
        with pytest.raises((InvalidParameter, System), match=words) as error:
            unpacked(unpacking, data)
        told.append((error.type, error.value.message))
    assert told[0] == told[1]


def test_an_error_is_told_to_who_goes_on_giving(extractors: Extractors, root: int) -> None:
    extractor = Extractor(extractors, "", root, lowest=True)
    pieces = [tar(("../out", b"", {})), bytes(8 << 20)]
    with pytest.raises(InvalidParameter, match="outside of the layer"):
        extractor.take(pieces)
    extractor.close()


def test_a_killed_process_fails_its_layer_and_no_other(
    extractors: Extractors, root: int, tmp_path: Path
) -> None:
    extractor = Extractor(extractors, "sha256:abc", root, lowest=True)
    extractor.take([GOOD[:1024]])
    child = only_child(extractors._pid)
    os.kill(child, signal.SIGKILL)
    with pytest.raises(System, match="sha256:abc: the process that unpacks it has ended"):
        extractor.end()
    extractor.close()
    assert unpacked(Extractor(extractors, "", root, lowest=True), GOOD).diff_id == ""


def test_one_that_is_killed_while_it_is_given_a_lot(extractors: Extractors, root: int) -> None:
    extractor = Extractor(extractors, "", root, lowest=True)
    extractor.take([GOOD[:512]])
    child = only_child(extractors._pid)
    os.kill(child, signal.SIGKILL)
    with pytest.raises(System, match="has ended"):
        extractor.take([bytes(8 << 20)])
    extractor.close()


def test_the_process_that_forks_is_started_again(extractors: Extractors, root: int, tmp_path: Path) -> None:
    before = Extractor(extractors, "", root, lowest=True)
    before.take([GOOD[:10_000]])
    killed = extractors._pid
    only_child(killed)
    os.kill(killed, signal.SIGKILL)
    assert ended(killed)
    (tmp_path / "other").mkdir()
    other = os.open(tmp_path / "other", os.O_RDONLY)
    assert unpacked(Extractor(extractors, "", other, lowest=True), GOOD).implied
    os.close(other)
    assert extractors._pid != killed
    before.take([GOOD[10_000:]])
    assert before.end().implied
    before.close()


def test_a_stopped_process_fails_its_layer(
    extractors: Extractors, root: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moby.images.extractors._PATIENCE_S", 0.1)
    extractor = Extractor(extractors, "sha256:abc", root, lowest=True)
    extractor.take([GOOD[:1024]])
    child = only_child(extractors._pid)
    os.kill(child, signal.SIGSTOP)
    with pytest.raises(System, match="sha256:abc: the process that unpacks it has ended"):
        extractor.take([bytes(8 << 20)])
    extractor.close()
    assert ended(child)


def test_who_gives_up_a_stopped_process_does_not_wait_for_it(extractors: Extractors, root: int) -> None:
    extractor = Extractor(extractors, "", root, lowest=True)
    extractor.take([GOOD[:1024]])
    child = only_child(extractors._pid)
    os.kill(child, signal.SIGSTOP)
    extractor.close()
    assert ended(child)


def test_one_that_forks_nothing_is_replaced(
    extractors: Extractors, root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moby.images.extractors._BEGIN_LIMIT_S", 1.0)
    assert unpacked(Extractor(extractors, "", root, lowest=True), GOOD).implied
    stopped = extractors._pid
    os.kill(stopped, signal.SIGSTOP)
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        other = os.open(tmp_path / name, os.O_RDONLY)
        assert unpacked(Extractor(extractors, "", other, lowest=True), GOOD).implied
        os.close(other)
    assert extractors._pid != stopped
    assert ended(stopped)


def test_a_program_of_another_edition_is_not_used(
    extractors: Extractors, root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moby.images.extractors.EDITION", "replaced")
    assert unpacked(Extractor(extractors, "", root, lowest=True), GOOD).implied
    assert (tmp_path / "root/a/b/file").stat().st_size == 350_000
    assert extractors._control is None


async def test_it_starts_before_the_first_piece(extractors: Extractors, root: int) -> None:
    extractors.expect()
    extractors.expect()
    assert extractors._starting is not None
    await extractors._starting
    started = extractors._pid
    assert process_lives(started)
    assert unpacked(Extractor(extractors, "", root, lowest=True), GOOD).implied
    assert extractors._pid == started


async def test_one_that_was_expected_in_vain_ends() -> None:
    extractors = Extractors()
    async with extractors.held():
        extractors.expect()
    assert extractors._pid
    assert ended(extractors._pid)
    assert extractors._control is None


def test_who_gives_up_leaves_no_process(extractors: Extractors, root: int) -> None:
    extractor = Extractor(extractors, "", root, lowest=True)
    extractor.take([GOOD[:10_000]])
    child = only_child(extractors._pid)
    extractor.stop()
    extractor.close()
    extractor.close()
    assert ended(child)


def test_a_layer_of_which_nothing_came(extractors: Extractors, root: int) -> None:
    unused = Extractor(extractors, "", root, lowest=True)
    unused.close()
    with pytest.raises(InvalidParameter, match="unexpected EOF"):
        unpacked(Extractor(extractors, "", root, lowest=True), b"\x1f\x8b\x08")


def test_without_processes_it_is_unpacked_here(
    extractors: Extractors, root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "posix_spawn", refuse)
    assert unpacked(Extractor(extractors, "", root, lowest=True), GOOD).implied
    assert (tmp_path / "root/a/b/file").stat().st_size == 350_000


def test_what_the_disk_does_not_take_is_told(extractors: Extractors, root: int) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, limits[1]))
    try:
        extractor = Extractor(extractors, "sha256:abc", root, lowest=True)
        extractor.take([b""])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with pytest.raises(System, match="sha256:abc: /a/large: file too large"):
        unpacked(extractor, tar(("a/large", bytes(6 << 20), {})))


def test_a_killed_daemon_leaves_no_process(root: int, tmp_path: Path) -> None:
    script = (
        "import os, sys, time\n"
        "from moby.images.extractors import Extractor, Extractors\n"
        "extractors = Extractors()\n"
        "extractor = Extractor(extractors, '', os.open(sys.argv[1], os.O_RDONLY), lowest=True)\n"
        "extractor.take([bytes(512)])\n"
        "print(extractors._pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "root")], stdout=subprocess.PIPE, text=True
    ) as daemon:
        assert daemon.stdout is not None
        server = int(daemon.stdout.readline())
        child = only_child(server)
        daemon.kill()
    assert ended(server, child)


def test_it_needs_little_to_begin() -> None:
    heavy = ("grpc", "aiohttp", "asyncio", "uvloop", "pyroute2", "sqlite3")
    script = f"import sys, moby.images.extractor; print([one for one in {heavy!r} if one in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
