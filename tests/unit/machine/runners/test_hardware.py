"""Words on the command line that say what a machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, NotFound
from moby.machine.runners.hardware import (
    Disk,
    Network,
    Port,
    Share,
    check_vsock,
    make_disks,
    parse_disk,
    parse_network,
    parse_port,
    parse_share,
)


def test_ports() -> None:
    assert parse_port("8080:80") == Port(8080, 80)
    assert parse_port("0.0.0.0:53:53/udp") == Port(53, 53, "udp", "0.0.0.0")
    assert str(Port(8080, 80)) == "hostfwd=tcp:127.0.0.1:8080-:80"
    for wrong in ("80", "0:80", "80:70000", "a:b", "80:80/sctp", "80:80,x=y"):
        with pytest.raises(InvalidParameter):
            parse_port(wrong)


def test_disks() -> None:
    kept = Path("kept.img")
    assert parse_disk("a.img") == Disk(Path("a.img"))
    assert parse_disk("a.qcow2,size=2G") == Disk(Path("a.qcow2"), "2G")
    assert parse_disk("a=b.img") == Disk(Path("a=b.img"))
    assert parse_disk("file=a,format=qcow2").format == "qcow2"
    assert parse_disk("size=1G", kept) == Disk(kept, "1G")
    assert parse_disk("a,bus=scsi").bus == "scsi"
    assert [Disk(Path(name)).format for name in ("a.img", "a.qcow2", "a.vhd", "a")] == [
        "raw",
        "qcow2",
        "vpc",
        "raw",
    ]
    for wrong in (
        "",
        ",size=1G",
        "a,size=",
        "a,size=x",
        "a,bus=floppy",
        "a,readonly=on",
        "a,size=1G,size=2G",
        "a,format=x",
        "size=1G",
    ):
        with pytest.raises(InvalidParameter):
            parse_disk(wrong)


async def test_a_disk_that_is_not_there_needs_a_size(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no disk"):
        await make_disks([Disk(tmp_path / "a.img")])


def test_networks() -> None:
    assert parse_network("user") == Network()
    assert parse_network("none").kind == "none"
    assert parse_network("tap=tap0,mac=52:54:00:AB:cd:ef") == Network("tap", "tap0", "52:54:00:ab:cd:ef")
    assert parse_network("bridge=br0") == Network("bridge", "br0")
    for wrong in (
        "",
        "tap",
        "tap=",
        "user=x",
        "bridge",
        "tap=a,b=c",
        "user,mac=1",
        "tap=x,,script=y",
        "tap=a/b",
    ):
        with pytest.raises(InvalidParameter):
            parse_network(wrong)


def test_folders(tmp_path: Path) -> None:
    assert parse_share(f"{tmp_path}:data") == Share(tmp_path, "data")
    assert parse_share(f"{tmp_path}:data,type=9p,ro") == Share(tmp_path, "data", "9p", read_only=True)
    for wrong in ("x", f"{tmp_path}:", f"{tmp_path}:a b", f"{tmp_path}:a,type=nfs", f"{tmp_path}:a,ro"):
        with pytest.raises(InvalidParameter):
            parse_share(wrong)
    with pytest.raises(NotFound, match="there is no folder"):
        parse_share(f"{tmp_path}/gone:data")


def test_numbers_of_vsock() -> None:
    assert (check_vsock(0), check_vsock(3)) == (0, 3)
    for wrong in (-1, 1, 2, 2**32):
        with pytest.raises(InvalidParameter):
            check_vsock(wrong)
