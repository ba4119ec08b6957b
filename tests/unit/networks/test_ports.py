"""Ports of the host."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from moby.core.errors import Conflict, InvalidParameter
from moby.core.networks import PortMapping
from moby.networks.ports import Ports


@pytest.fixture
def ports() -> Iterator[Ports]:
    found = Ports()
    yield found
    found.close()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that some process of the host listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def tcp(host_port: int = 0, host_ip: str = "", end: int = 0) -> PortMapping:
    return PortMapping("tcp", 80, host_ip, host_port, end)


def test_any_port_comes_from_the_range_one_after_the_other() -> None:
    first = free_port()
    ports = Ports(range(first, first + 3))
    granted = [ports.reserve(owner, [tcp(host_ip="127.0.0.1")])[0].host_port for owner in "ab"]
    assert granted == sorted(set(granted))
    assert all(first <= port < first + 3 for port in granted)
    ports.close()


def test_own_port_is_allocated(ports: Ports) -> None:
    port = free_port()
    ports.reserve("a", [tcp(port)])
    with pytest.raises(Conflict, match=f"^Bind for 0.0.0.0:{port} failed: port is already allocated$"):
        ports.reserve("b", [tcp(port)])
    with pytest.raises(Conflict, match=f"^Bind for 127.0.0.1:{port} failed: port is already allocated$"):
        ports.reserve("b", [tcp(port, "127.0.0.1")])


def test_one_port_on_two_addresses(ports: Ports) -> None:
    port = free_port()
    ports.reserve("a", [tcp(port, "127.0.0.1")])
    ports.reserve("b", [tcp(port, "127.0.0.2")])
    with pytest.raises(Conflict):
        ports.reserve("c", [tcp(port)])


def test_another_process_s_port_is_in_use(ports: Ports, taken: int) -> None:
    with pytest.raises(
        Conflict, match=f"^failed to bind host port 127.0.0.1:{taken}/tcp: address already in use$"
    ):
        ports.reserve("a", [tcp(taken, "127.0.0.1")])
    with pytest.raises(Conflict, match="address already in use"):
        ports.reserve("a", [tcp(taken)])


def test_protocols_are_apart(ports: Ports) -> None:
    port = free_port()
    ports.reserve("a", [tcp(port)])
    (granted,) = ports.reserve("b", [PortMapping("udp", 80, "", port)])
    assert granted.host_port == port


def test_a_range_gives_the_first_free_one(ports: Ports, taken: int) -> None:
    (granted,) = ports.reserve("a", [tcp(taken, "127.0.0.1", min(taken + 5, 65535))])
    assert granted.host_port > taken
    assert granted.host_port_end == granted.host_port


def test_an_exhausted_range_is_said_in_docker_s_words(ports: Ports) -> None:
    port = free_port()
    ports.reserve("a", [tcp(port)])
    ports.reserve("b", [PortMapping("tcp", 80, "", port + 1)])
    with pytest.raises(Conflict, match="all ports are allocated"):
        ports.reserve("c", [tcp(port, end=port + 1)])


def test_a_failure_gives_back_what_was_reserved_before(ports: Ports, taken: int) -> None:
    port = free_port()
    with pytest.raises(Conflict):
        ports.reserve("a", [tcp(port), tcp(taken)])
    ports.reserve("b", [tcp(port)])


def test_a_reserved_port_is_taken_for_everyone(ports: Ports) -> None:
    (granted,) = ports.reserve("a", [tcp(host_ip="127.0.0.1")])
    with pytest.raises(OSError, match="in use"):
        socket.create_server(("127.0.0.1", granted.host_port))
    ports.release("a")
    socket.create_server(("127.0.0.1", granted.host_port)).close()


def test_a_restored_port_stays_the_owner_s_though_another_process_took_it(ports: Ports, taken: int) -> None:
    (failure,) = ports.restore("a", [tcp(taken, "127.0.0.1")])
    assert "address already in use" in failure.message
    with pytest.raises(Conflict, match="port is already allocated"):
        ports.reserve("b", [tcp(taken, "127.0.0.1")])


def test_bad_requests(ports: Ports) -> None:
    with pytest.raises(InvalidParameter):
        ports.reserve("a", [tcp(90, end=80)])


def test_both_families_get_the_same_port(ports: Ports) -> None:
    granted = ports.reserve("a", [tcp(0, "0.0.0.0"), tcp(0, "::")])
    assert granted[0].host_port == granted[1].host_port != 0
    assert [one.host_ip for one in granted] == ["0.0.0.0", "::"]


def test_families_are_apart(ports: Ports) -> None:
    port = free_port()
    ports.reserve("a", [tcp(port, "::")])
    ports.reserve("b", [tcp(port, "0.0.0.0")])
    with pytest.raises(Conflict, match=rf"^Bind for \[::1\]:{port} failed: port is already allocated$"):
        ports.reserve("c", [tcp(port, "::1")])


def test_a_port_that_one_address_lacks_is_given_to_none(ports: Ports) -> None:
    port = free_port()
    ports.reserve("a", [tcp(port, "::")])
    with pytest.raises(Conflict):
        ports.reserve("b", [tcp(port, "0.0.0.0"), tcp(port, "::")])
    ports.reserve("c", [tcp(port, "0.0.0.0")])
