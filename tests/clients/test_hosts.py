"""Several hosts on one wire: what another host reaches of the containers here, in both families."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.clients.engine import Engine, Network

SERVER = "while :; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello' | nc -l -p 80 > /dev/null; done"
HERE = ("192.0.2.1", "2001:db8::1")
DROP = "add table {0} own; add chain {0} own forward {{ type filter hook forward priority 0; policy drop; }}"


@contextlib.contextmanager
def wire(hosts: list[Network]) -> Iterator[None]:
    """A bridge that joins hosts: the first is 192.0.2.1 and 2001:db8::1, by whom the others send all else."""
    with Network(f"mobyw-{uuid.uuid4().hex[:8]}") as switch:
        ip(switch, "link add wire type bridge")
        ip(switch, "link set wire up")
        for number, host in enumerate(hosts, 1):
            ip(switch, f"link add p{number} type veth peer name lan0 netns {host.name}")
            ip(switch, f"link set p{number} master wire up")
            ip(host, f"address add 192.0.2.{number}/24 dev lan0")
            ip(host, f"-6 address add 2001:db8::{number}/64 dev lan0 nodad")
            ip(host, "link set lan0 up")
            if number > 1:
                ip(host, f"route add default via {HERE[0]}")
                ip(host, f"-6 route add default via {HERE[1]}")
        yield


def ip(host: Network, words: str) -> None:
    """What an administrator does."""
    subprocess.run(["ip", "-n", host.name, *words.split()], check=True)


@pytest.fixture
def hosts(make_engine: Callable[..., Engine]) -> Iterator[tuple[Engine, Network, Network]]:
    """An engine's host and two others."""
    engine = make_engine()
    with contextlib.ExitStack() as stack:
        one, two = (stack.enter_context(Network(f"mobyh-{uuid.uuid4().hex[:8]}")) for _ in range(2))
        stack.enter_context(wire([engine.network, one, two]))
        yield engine, one, two


def serve(engine: Engine, name: str, *options: str) -> list[str]:
    """A server; its addresses, as soon as it answers."""
    engine.ok("run", "-d", "--name", name, *options, "busybox", "sh", "-c", SERVER)
    places: dict[str, Any] = json.loads(engine.ok("inspect", name))[0]["NetworkSettings"]["Networks"]
    (place,) = places.values()
    found = [place["IPAddress"], place["GlobalIPv6Address"]]
    assert [reached(engine.network, address, 80, 10) for address in found] == [True, True]
    return found


def reached(host: Network, address: str, port: int, limit: float = 0.5) -> bool:
    """Does a server answer there, in time?"""
    deadline = time.monotonic() + limit
    while True:
        with contextlib.suppress(OSError), host.connect(port, address, timeout=limit) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            if b"hello" in connection.recv(1000):
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)


def test_other_hosts_reach_what_is_published_alone(hosts: tuple[Engine, Network, Network]) -> None:
    engine, one, two = hosts
    for name, options in (("open", []), ("inner", ["--internal"])):
        engine.ok("network", "create", "--ipv6", *options, name)
    published = serve(engine, "web", "--network", "open", "-p", "8080:80")
    hidden = serve(engine, "hidden", "--network", "open")
    inner = serve(engine, "inner", "--network", "inner", "-p", "8081:80")
    serve(engine, "near", "--network", "open", "-p", "127.0.0.1:8082:80", "-p", "[::1]:8082:80")
    serve(engine, "there", "--network", "open", "-p", f"{HERE[0]}:8083:80", "-p", f"[{HERE[1]}]:8083:80")

    for host in (one, two):
        assert [reached(host, address, 8080, 10) for address in HERE] == [True, True]
        assert [reached(host, address, 8083, 10) for address in HERE] == [True, True]
        # These hosts send everything by ours: routing alone opens nothing.
        for address in [*published, *hidden, *inner]:
            assert not reached(host, address, 80), address
        assert not any(reached(host, address, port) for address in HERE for port in (8081, 8082))
    assert [reached(engine.network, address, 8082) for address in ("127.0.0.1", "::1")] == [True, True]

    # The host's own filter has the last word, family by family, and gives it back.
    for number, family in enumerate(("ip", "ip6")):
        subprocess.run([*engine.network.enter, "nft", DROP.format(family)], check=True)
        expected = [index > number for index in range(2)]
        assert [reached(one, address, 8080, 1) for address in HERE] == expected
    for family in ("ip", "ip6"):
        subprocess.run([*engine.network.enter, "nft", f"delete table {family} own"], check=True)
    assert [reached(two, address, 8080, 10) for address in HERE] == [True, True]

    engine.ok("rm", "--force", "web")
    assert not any(reached(one, address, 8080) for address in HERE)


def test_a_trusted_wire_leads_to_published_ports_alone(hosts: tuple[Engine, Network, Network]) -> None:
    engine, one, _ = hosts
    option = "com.docker.network.bridge.trusted_host_interfaces=lan0"
    engine.ok("network", "create", "--ipv6", "-o", option, "known")
    published = serve(engine, "web", "--network", "known", "-p", "8080:80")
    hidden = serve(engine, "hidden", "--network", "known")
    assert [reached(one, address, 80, 10) for address in published] == [True, True]
    assert not any(reached(one, address, 80) for address in hidden)


def test_a_network_shows_itself_with_an_address_of_its_own(hosts: tuple[Engine, Network, Network]) -> None:
    engine, one, _ = hosts
    ip(engine.network, "address add 192.0.2.99/24 dev lan0")
    engine.ok("network", "create", "-o", "com.docker.network.host_ipv4=192.0.2.99", "masked")
    script = (
        "import socket\ns = socket.create_server(('', 99))\ns.settimeout(30)\nprint('ready', flush=True)\n"
        "print(s.accept()[1][0], flush=True)"
    )
    with subprocess.Popen([*one.enter, "python3", "-c", script], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        engine.ok(
            "run", "--rm", "--network", "masked", "busybox", "nc", "-w", "1", "192.0.2.2", "99", input=""
        )
        assert server.stdout.readline() == "192.0.2.99\n"


def test_containers_reach_other_hosts_with_the_hosts_address(hosts: tuple[Engine, Network, Network]) -> None:
    engine, one, _ = hosts
    for name, options in (("open", []), ("inner", ["--internal"])):
        engine.ok("network", "create", "--ipv6", *options, name)
    script = (
        "import socket\ns = socket.create_server(('::', 99), family=socket.AF_INET6, dualstack_ipv6=True)\n"
        "s.settimeout(30)\nprint('ready', flush=True)\n"
        "for _ in range(2): print(s.accept()[1][0], flush=True)"
    )
    with subprocess.Popen([*one.enter, "python3", "-c", script], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        for target, seen in (("192.0.2.2", "::ffff:192.0.2.1"), ("2001:db8::2", "2001:db8::1")):
            words = ["busybox", "nc", "-w", "1", target, "99"]
            assert engine.docker("run", "--rm", "--network", "inner", *words, input="").code != 0
            engine.ok("run", "--rm", "--network", "open", *words, input="")
            assert server.stdout.readline().strip() == seen


def test_without_a_filter_published_ports_are_passed_on(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine("--iptables=false", "--ip6tables=false")
    with Network(f"mobyh-{uuid.uuid4().hex[:8]}") as other, wire([engine.network, other]):
        engine.ok("network", "create", "--ipv6", "open")
        serve(engine, "web", "--network", "open", "-p", "8080:80", "-p", "127.0.0.1:8081:80")
        assert [reached(other, address, 8080, 10) for address in HERE] == [True, True]
        assert not any(reached(other, address, 8081) for address in HERE)
        rules = [*engine.network.enter, "nft", "list", "ruleset"]
        assert "published" not in subprocess.run(rules, capture_output=True, text=True, check=True).stdout
        assert "port is already allocated" in engine.fails(
            "run", "--rm", "-p", "8080:80", "busybox", "true", code=125
        )
        engine.ok("rm", "--force", "web")
        assert not any(reached(other, address, 8080) for address in HERE)
