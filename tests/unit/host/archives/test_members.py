"""Headers and content of tar archives that come in pieces of any size."""

from __future__ import annotations

import io
import random
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moby.core.errors import InvalidParameter
from moby.host.archives import members
from moby.host.archives.members import BLOCK, Member, MemberReader


class Taken:
    """Remembers what it is given."""

    def __init__(self) -> None:
        self.members: list[tuple[Member, bytearray, bool]] = []

    def begin(self, member: Member) -> None:
        self.members.append((member, bytearray(), False))

    def content(self, data: memoryview) -> None:
        self.members[-1][1].extend(data)

    def end(self) -> None:
        member, data, _ = self.members[-1]
        self.members[-1] = (member, data, True)


def read(data: bytes, step: int = 1 << 20) -> list[tuple[Member, bytearray, bool]]:
    """Members, content, and whether that was complete."""
    taken = Taken()
    reader = MemberReader(taken)
    for begin in range(0, len(data), step):
        reader.feed(data[begin : begin + step])
    reader.finish()
    return taken.members


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def archive(*members: tuple[tarfile.TarInfo, bytes], kind: int = tarfile.PAX_FORMAT) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=kind) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


def checked(block: bytearray) -> bytes:
    """A header whose sum is right."""
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


def changed(data: bytes, **fields: bytes) -> bytes:
    """The first header with other bytes in some places (`at100=...`)."""
    block = bytearray(data[:BLOCK])
    for place, value in fields.items():
        at = int(place.removeprefix("at"))
        block[at : at + len(value)] = value
    return checked(block) + data[BLOCK:]


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("step", [1, 7, 512, 1000, 1 << 20])
def test_every_format_in_pieces_of_every_size(kind: int, step: int) -> None:
    long = "d/" * 40 + "f" * 90
    content = random.Random(step).randbytes(1500)
    data = archive(
        member("dir", type=tarfile.DIRTYPE, mode=0o1755),
        member("empty"),
        member(long, content, uid=1000, gid=2000, mtime=1234567890, mode=0o4755),
        member("soft", type=tarfile.SYMTYPE, linkname="../x"),
        member("hard", type=tarfile.LNKTYPE, linkname=long if kind != tarfile.USTAR_FORMAT else "empty"),
        member("device", type=tarfile.CHRTYPE, devmajor=5, devminor=1),
        member("pipe", type=tarfile.FIFOTYPE),
        kind=kind,
    )
    found = read(data, step)
    assert [(m.name.rstrip("/"), m.kind) for m, _, _ in found] == [
        ("dir", "5"), ("empty", "0"), (long, "0"), ("soft", "2"), ("hard", "1"), ("device", "3"), ("pipe", "6"),
    ]  # fmt: skip
    big = found[2][0]
    assert (bytes(found[2][1]), found[2][2], found[1][2]) == (content, True, True)
    assert (big.uid, big.gid, big.mode, big.modified) == (1000, 2000, 0o4755, 1234567890 * 10**9)
    assert (found[3][0].link, found[5][0].device) == ("../x", (5, 1))


def test_pax_records_say_more_than_headers_can() -> None:
    info, content = member("f" * 300, b"x", uid=3_000_000_000, mtime=1.5)
    info.pax_headers = {
        "SCHILY.xattr.user.note": "a\nb=c",
        "mtime": "1234567890.123456789",
        "atime": "2000000000",
    }
    found = read(archive((info, content), member("next")))
    (first, _, _), (following, _, _) = found
    assert (first.name, first.uid) == ("f" * 300, 3_000_000_000)
    assert (first.modified, first.accessed) == (1234567890_123456789, 2_000_000_000 * 10**9)
    assert first.attributes == {"user.note": b"a\nb=c"}
    assert following.attributes == {}
    assert following.modified == 0


def test_times_are_brought_to_where_they_can_be() -> None:
    info, _ = member("old")
    info.pax_headers = {"mtime": "-5.5"}
    assert read(archive((info, b"")))[0][0].modified == 0
    info.pax_headers = {"mtime": "9" * 30}
    with pytest.raises(InvalidParameter):
        read(archive((info, b"")))


@pytest.mark.parametrize(
    "option", ["--format=gnu", "--sparse-version=0.0", "--sparse-version=0.1", "--sparse-version=1.0"]
)
def test_sparse_files(tmp_path: Path, option: str) -> None:
    size = 40 << 20
    with (tmp_path / "s").open("wb") as file:
        for number in range(200):
            file.seek(number * 8192 * 16)
            file.write(bytes([number + 1]) * 4096)
        file.truncate(size)
    options = [option] if "gnu" in option else ["--format=posix", option]
    command = ["tar", "--sparse", "--hole-detection=raw", *options, "-cC", str(tmp_path), "-f-", "s"]
    data = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    assert len(data) < 2 << 20
    for step in (1 << 20, 513):
        found, content, complete = read(data, step)[0]
        assert (found.name.rpartition("/")[2], found.size, complete) == ("s", size, True)
        assert found.holes is not None
        placed = bytearray(size)
        for offset, part in found.holes.place(memoryview(bytes(content))):
            placed[offset : offset + len(part)] = part
        assert bytes(placed) == (tmp_path / "s").read_bytes()


def test_only_the_end_may_be_missing() -> None:
    assert read(b"") == []
    data = archive(member("a", b"x" * 700), member("b", b"y"))
    assert len(read(data + bytes(1 << 20))) == 2
    end = 512 + 1024 + 512 + 512
    assert len(read(data[:end])) == 2
    for cut in (300, 512, 700, end - 600, end - 512):
        with pytest.raises(InvalidParameter, match="unexpected EOF"):
            read(data[:cut])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"no archive at all, " * 100, "invalid tar header", id="garbage"),
        pytest.param(changed(archive(member("a")), at124=b"-0000000001\0"), "invalid tar header", id="negative size"),
        pytest.param(changed(archive(member("a")), at124=b"\xff" * 12), "invalid tar header", id="negative binary size"),
        pytest.param(changed(archive(member("a")), at124=b"\xa0" + b"\xff" * 11), "invalid tar header", id="huge size"),
        pytest.param(changed(archive(member("a")), at108=b"\x80\0\0\0\xff\xff\xff\xff"), "owner", id="owner -1"),
        pytest.param(changed(archive(member("a")), at156=b"V"), "unhandled tar header type", id="type"),
        pytest.param(changed(archive(member("a")), at0=b"\0"), "invalid tar header", id="no name"),
        pytest.param(changed(archive(member("a"))[:512], at156=b"x", at124=b"00100000000\0"), "too large", id="large extension"),
        pytest.param(archive(member("a"))[:512] + bytes(512) + archive(member("b")), "after the end", id="second archive"),
    ],
)  # fmt: skip
def test_bad_headers(data: bytes, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        read(data)


@pytest.mark.parametrize(
    "records",
    [
        b"garbage", b"5 a=b", b"99999999999999999999999999 a=b\n", b"0 a=b\n", b"-3 a=b\n", b"6 ab\n\n",
        b"999 path=x\n", b"7 =abc\n", b"14 size=-1234\n", b"10 size=x\n", b"11 uid=1e5\n", b"19 mtime=1.2.3.4.5\n",
        b"12 a\0b=cde\n",
    ],
)  # fmt: skip
def test_bad_records(records: bytes) -> None:
    header = changed(archive(member("x"))[:512], at156=b"x", at124=f"{len(records):011o}\0".encode())
    data = header + records + bytes(-len(records) % 512) + archive(member("a"))
    with pytest.raises(InvalidParameter, match="invalid tar header"):
        read(data)


@pytest.mark.parametrize(
    "records",
    [
        {"GNU.sparse.map": "0,5,3,2", "GNU.sparse.size": "10"},
        {"GNU.sparse.map": "0,5,8,2", "GNU.sparse.size": "9"},
        {"GNU.sparse.map": "0,5", "GNU.sparse.size": "10"},
        {"GNU.sparse.map": "0,7,9", "GNU.sparse.size": "10"},
        {"GNU.sparse.map": "0,x", "GNU.sparse.size": "10"},
        {"GNU.sparse.map": "0,7", "GNU.sparse.size": "9" * 19},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "10"},
    ],
)
def test_bad_maps_of_holes(records: dict[str, str]) -> None:
    info, content = member("a", b"1234567")
    info.pax_headers = records
    with pytest.raises(InvalidParameter, match="invalid tar header"):
        read(archive((info, content)))


def test_a_flood_after_the_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moby.host.archives.members.PADDING_LIMIT", 1 << 20)
    reader = MemberReader(Taken())
    reader.feed(archive(member("a")))
    with pytest.raises(InvalidParameter, match="after its end"):
        reader.feed(bytes(3 << 20))


def test_a_flood_of_members_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moby.host.archives.members.MEMBERS_LIMIT", 3)
    with pytest.raises(InvalidParameter, match="more than 3 members"):
        read(archive(*[member(str(number)) for number in range(4)]))


WHOLE = archive(
    member("d/" * 60 + "long", b"x" * 700, pax_headers={"SCHILY.xattr.user.a": "1", "mtime": "1.5"}),
    member("link", type=tarfile.SYMTYPE, linkname="t" * 150),
    member("plain", b"y" * 3),
)


def outcome(data: bytes, step: int) -> object:
    """What is read, or that it is refused."""
    try:
        return [(found, bytes(content), whole) for found, content, whole in read(data, step)]
    except InvalidParameter as error:
        return error.message


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=12)), max_size=4),
    st.integers(0, len(WHOLE)),
    st.integers(1, 3000),
    st.booleans(),
)
def test_any_change_is_read_or_refused_in_any_pieces(
    changes: list[tuple[int, bytes]], end: int, step: int, mended: bool
) -> None:
    data = bytearray(WHOLE)
    for place, value in changes:
        data[place : place + len(value)] = value
        if mended:  # so that it is the fields that are looked at, and not their sum alone
            start = place // BLOCK * BLOCK
            data[start : start + BLOCK] = checked(data[start : start + BLOCK].ljust(BLOCK, b"\0"))
    whole = bytes(data[:end] if len(changes) % 2 else data)
    assert outcome(whole, step) == outcome(whole, len(whole) + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "_plain_file", lambda *_: None)
        slowly = outcome(whole, step)
    assert outcome(whole, step) == slowly  # what is read quickly is read as everything else


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_noise_is_read_or_refused(data: bytes) -> None:
    outcome(data, 512)
