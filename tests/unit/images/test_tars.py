"""Archives as they come, friendly and hostile."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moby.core.errors import InvalidParameter
from moby.images.tars import END, Entry, TarReader, header, inside, padding


def read(data: bytes, step: int = 1000) -> list[Entry | bytes]:
    reader = TarReader()
    found: list[Entry | bytes] = []
    for start in range(0, len(data), step):
        found += reader.feed(data[start : start + step])
    reader.finish()
    return found


def made(*members: tarfile.TarInfo, kind: int = tarfile.PAX_FORMAT, content: bytes = b"x") -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=kind) as tar:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return data.getvalue()


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_and_links(kind: int) -> None:
    link = tarfile.TarInfo("d/" + "l" * 150)
    link.type, link.linkname = tarfile.SYMTYPE, "../" + "t" * 150
    file, directory = tarfile.TarInfo("f" * 180), tarfile.TarInfo("d")
    directory.type = tarfile.DIRTYPE
    found = read(made(directory, file, link, kind=kind))
    assert found == [
        Entry("d", "directory", 0),
        Entry("f" * 180, "file", 1),
        b"x",
        Entry("d/" + "l" * 150, "symlink", 0, "t" * 150),
    ]


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/../x", "../../etc/passwd"])
def test_names_that_lead_out_are_refused(name: str) -> None:
    with pytest.raises(InvalidParameter, match="leads out"):
        read(made(tarfile.TarInfo(name)))


def test_links_that_lead_out_are_refused() -> None:
    link = tarfile.TarInfo("a")
    link.type, link.linkname = tarfile.SYMTYPE, "../../etc"
    with pytest.raises(InvalidParameter, match="leads out"):
        read(made(link))


def test_absolute_names_are_inside() -> None:
    assert inside("/etc/passwd") == "etc/passwd"
    assert inside("./a//b/.") == "a/b"


def test_devices_are_left_out() -> None:
    device = tarfile.TarInfo("null")
    device.type = tarfile.CHRTYPE
    assert read(made(device, tarfile.TarInfo("a"))) == [Entry("a", "file", 1), b"x"]


def test_end_in_the_middle_is_an_error() -> None:
    data = header("a", 1000) + b"x" * 10
    with pytest.raises(InvalidParameter, match="unexpected EOF"):
        read(data)


def test_padding_after_the_end_is_ignored() -> None:
    reader = TarReader()
    data = header("a", 1) + b"x" + padding(1) + END
    assert list(reader.feed(data)) == [Entry("a", "file", 1), b"x"]
    assert reader.ended
    assert list(reader.feed(b"\0" * 1_000_000)) == []


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"x" * 512, id="noise"),
        pytest.param(header("a", 1)[:124] + b"-0000000001\0" + header("a", 1)[136:], id="negative"),
        pytest.param(header("a", 1)[:156] + b"x" + header("a", 1)[157:], id="checksum"),
    ],
)
def test_broken_headers(block: bytes) -> None:
    with pytest.raises(InvalidParameter, match="invalid tar header"):
        list(TarReader().feed(block))


def test_large_extended_header_is_refused() -> None:
    block = bytearray(header("a", 2 << 20))
    block[156:157] = b"x"
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    with pytest.raises(InvalidParameter, match="too large"):
        list(TarReader().feed(bytes(block)))


@pytest.mark.parametrize("record", [b"9999 path=x\n", b"-1 path=x\n", b"0 path=x\n", b"path=x\n"])
def test_broken_records(record: bytes) -> None:
    block = bytearray(header("a", len(record)))
    block[156:157] = b"x"
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    with pytest.raises(InvalidParameter, match="invalid tar header"):
        list(TarReader().feed(bytes(block) + record + padding(len(record)) + header("b", 0) + END))


@settings(max_examples=50)
@given(st.binary(max_size=3000), st.integers(1, 700))
def test_any_content_survives(content: bytes, step: int) -> None:
    data = header("a", len(content)) + content + padding(len(content)) + END
    found = read(data, step)
    assert found[0] == Entry("a", "file", len(content))
    assert b"".join(part for part in found[1:] if isinstance(part, bytes)) == content


@settings(max_examples=50)
@given(st.binary(max_size=3000))
def test_noise_is_refused_or_read(data: bytes) -> None:
    try:
        read(data)
    except InvalidParameter:
        return


def test_large_sizes_are_written() -> None:
    (entry,) = TarReader().feed(header("a", 9 << 30))
    assert entry == Entry("a", "file", 9 << 30)
