"""Files that give names."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.config import ConfigSource
from moby.core.errors import InvalidParameter
from moby.core.networks import Endpoint, Sandbox
from moby.core.types.containers import ContainerConfig, HostConfig
from moby.engine.config import EngineConfig
from moby.engine.containers.index import Index
from moby.engine.containers.name_files import NameFiles
from moby.engine.containers.record import Record


@pytest.fixture
def files(tmp_path: Path) -> NameFiles:
    return NameFiles(Index(), ConfigSource(EngineConfig(dns=("10.9.9.9",))), tmp_path)


@pytest.fixture
def record() -> Record:
    return Record(
        "c1",
        "box",
        "",
        ContainerConfig(hostname="box"),
        HostConfig(network_mode="bridge"),
        "",
        "",
        "",
        "",
        [],
    )


def sandbox(*networks: str) -> Sandbox:
    return Sandbox(
        "c1",
        "/run/netns/c1",
        tuple(
            Endpoint(name, name, name, "c1", ipv4=f"10.0.{number}.2/24", ipv6=f"fd00:{number}::2/64")
            for number, name in enumerate(networks)
        ),
    )


def read(directory: Path, name: str) -> str:
    return (directory / "c1" / name).read_text()


def test_both_families_stand_in_hosts(files: NameFiles, record: Record, tmp_path: Path) -> None:
    binds = files.write(record, sandbox("bridge"))
    assert [bind.target for bind in binds] == ["/etc/resolv.conf", "/etc/hostname", "/etc/hosts"]
    assert "10.0.0.2\tbox\nfd00:0::2\tbox\n" in read(tmp_path, "hosts")
    assert "nameserver 10.9.9.9" in read(tmp_path, "resolv.conf")


def test_a_network_of_ones_own_has_a_name_server(files: NameFiles, record: Record, tmp_path: Path) -> None:
    files.write(record, sandbox("bridge"))
    files.moved(record, sandbox("bridge"), sandbox("bridge", "net"))
    assert "nameserver 127.0.0.11" in read(tmp_path, "resolv.conf")
    assert "10.0.1.2\tbox\n" in read(tmp_path, "hosts")
    files.moved(record, sandbox("bridge", "net"), sandbox("bridge"))
    assert "nameserver 10.9.9.9" in read(tmp_path, "resolv.conf")
    assert "10.0.1.2\tbox\n" not in read(tmp_path, "hosts")


def test_what_was_written_inside_stays(files: NameFiles, record: Record, tmp_path: Path) -> None:
    files.write(record, sandbox("bridge"))
    (tmp_path / "c1" / "resolv.conf").write_text("nameserver 10.1.1.1\n")
    with (tmp_path / "c1" / "hosts").open("a") as hosts:
        hosts.write("10.2.2.2 mine\n")
    files.moved(record, sandbox("bridge"), sandbox("bridge", "net"))
    assert read(tmp_path, "resolv.conf") == "nameserver 10.1.1.1\n"
    assert "10.2.2.2 mine\n" in read(tmp_path, "hosts")


def test_files_that_are_gone_are_no_error(files: NameFiles, record: Record) -> None:
    files.moved(record, sandbox("bridge"), sandbox("net"))


def test_host_gateway_is_the_default_network_s(files: NameFiles, record: Record, tmp_path: Path) -> None:
    record.host_config.extra_hosts = ["up:host-gateway"]
    files.write(record, sandbox("net"), ["172.17.0.1", "fd00::1"])
    assert "172.17.0.1\tup\nfd00::1\tup\n" in read(tmp_path, "hosts")
    with pytest.raises(InvalidParameter, match="unable to derive the IP value for host-gateway"):
        files.write(record, sandbox("net"))


def test_on_the_host_s_network_names_are_the_host_s_or_one_s_own(
    files: NameFiles, record: Record, tmp_path: Path
) -> None:
    record.host_config.network_mode = "host"
    files.write(record, sandbox())
    assert read(tmp_path, "hosts") == Path("/etc/hosts").read_text()
    record.host_config.extra_hosts = ["db:10.1.2.3"]
    files.write(record, sandbox())
    assert read(tmp_path, "hosts").endswith("ff02::2\tip6-allrouters\n10.1.2.3\tdb\n")
