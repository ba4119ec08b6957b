"""The packet filter: what gets through, and what comes back when somebody takes it away."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine, Network, fetch

pytestmark = pytest.mark.skipif(KIND != "mobyd", reason="dockerd 20.10 uses iptables")

SERVER = "while :; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello' | nc -l -p 80 > /dev/null; done"


@pytest.fixture
def outside(network: Network) -> Iterator[Network]:
    """A host 192.0.2.2 beside the engine's 192.0.2.1, which routes all else through it."""
    yield from neighbour(network)


def neighbour(network: Network) -> Iterator[Network]:
    """A host beside another."""
    with Network(f"mobyo-{uuid.uuid4().hex[:8]}") as found:
        name = f"o{uuid.uuid4().hex[:8]}"
        ours, theirs = ["ip", "-n", network.name], ["ip", "-n", found.name]
        for command in (
            [*ours, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", found.name],
            [*ours, "address", "add", "192.0.2.1/24", "dev", name],
            [*ours, "link", "set", name, "up"],
            [*theirs, "address", "add", "192.0.2.2/24", "dev", "eth0"],
            [*theirs, "link", "set", "eth0", "up"],
            [*theirs, "route", "add", "default", "via", "192.0.2.1"],
        ):
            subprocess.run(command, check=True)
        yield found
        subprocess.run([*ours, "link", "delete", name], check=True)


def nft(engine: Engine, *words: str) -> str:
    """What an administrator does."""
    command = [*engine.network.enter, "nft", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def serve(engine: Engine, name: str, *options: str) -> str:
    """A server; its address on its first network."""
    engine.ok("run", "-d", "--name", name, *options, "busybox", "sh", "-c", SERVER)
    networks = json.loads(engine.ok("inspect", name))[0]["NetworkSettings"]["Networks"]
    address: str = next(iter(networks.values()))["IPAddress"]
    return address


def reaches(engine: Engine, name: str, target: str) -> bool:
    """Does a packet come back?"""
    return engine.docker("exec", name, "ping", "-c", "1", "-W", "1", target).code == 0


def becomes(condition: Callable[[], bool], limit: float = 20) -> bool:
    """Does it become true in time?"""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def bridge(engine: Engine, network: str) -> str:
    """The device of a network."""
    found = json.loads(engine.ok("network", "inspect", network))[0]
    return str(found["Options"].get("com.docker.network.bridge.name") or f"br-{found['Id'][:12]}")


def test_a_flushed_ruleset_comes_back(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.ok("network", "create", "--ipv6", "own")
    serve(engine, "one", "-p", "18100:80")
    serve(engine, "two", "--network", "own", "-p", "18101:80")
    for _ in range(2):
        nft(engine, "flush", "ruleset")
        assert "hello" in fetch(engine.network, "127.0.0.1", 18100, 30)
        assert "hello" in fetch(engine.network, "127.0.0.1", 18101, 30)
        gateway = json.loads(engine.ok("network", "inspect", "own"))[0]["IPAM"]["Config"][1]["Gateway"]
        assert "hello" in fetch(engine.network, gateway, 18101, 30)
    nft(engine, "delete", "table", "ip", f"moby-{bridge(engine, 'own')}")
    assert "hello" in fetch(engine.network, "127.0.0.1", 18101, 30)
    nft(engine, "flush", "chain", "ip", f"moby-{bridge(engine, 'own')}", "dispatch")
    assert "hello" in fetch(engine.network, "127.0.0.1", 18101, 30)
    nft(engine, "delete", "table", "ip", "moby")
    assert becomes(lambda: f"to-{bridge(engine, 'own')}" in nft(engine, "list", "ruleset"))
    assert becomes(lambda: f"to-{bridge(engine, 'bridge')}" in nft(engine, "list", "ruleset"))
    assert "putting it back" in engine.log.read_text()


def test_a_deleted_bridge_comes_back(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.ok("network", "create", "--ipv6", "own")
    serve(engine, "one", "--network", "own", "-p", "18102:80")
    serve(engine, "two", "--network", "own")
    device = bridge(engine, "own")
    subprocess.run(["ip", "-n", engine.network.name, "link", "delete", device], check=True)
    assert "hello" in fetch(engine.network, "127.0.0.1", 18102, 30)
    assert becomes(lambda: reaches(engine, "one", "two"))
    subprocess.run(["ip", "-n", engine.network.name, "address", "flush", "dev", device], check=True)
    assert "hello" in fetch(engine.network, "127.0.0.1", 18102, 30)


def test_marked_and_direct_packets_are_let_in(make_engine: Callable[..., Engine]) -> None:
    marked = make_engine("--bridge-accept-fwmark", "0x1/0x3")
    direct = make_engine("--allow-direct-routing")
    for engine in (marked, direct):
        address = serve(engine, "one", "-p", "18107:80")
        for beside in neighbour(engine.network):
            assert ("hello" in fetch(beside, address, 80, 10 if engine is direct else 2)) == (
                engine is direct
            )
            if engine is marked:
                nft(
                    engine,
                    "add table ip marker; add chain ip marker c { type filter hook prerouting priority mangle; }",
                )
                nft(engine, "add", "rule", "ip", "marker", "c", "meta", "mark", "set", "5")
                assert "hello" in fetch(beside, address)


def test_what_we_take_ourselves_is_no_loss(engine: Engine) -> None:
    engine.ok("network", "create", "brief")
    engine.ok("run", "--rm", "--network", "brief", "-p", "80", "busybox", "true")
    before = engine.log.read_text().count("putting it back")
    device = bridge(engine, "brief")
    engine.ok("network", "rm", "brief")
    engine.ok("run", "--rm", "-p", "80", "busybox", "true")
    assert engine.log.read_text().count("putting it back") == before
    assert (
        device
        not in subprocess.run(
            ["ip", "-n", engine.network.name, "link"], capture_output=True, text=True, check=True
        ).stdout
    )
    assert f"moby-{device}" not in nft(engine, "list", "tables")


def test_the_administrators_rules_come_first(engine: Engine, outside: Network) -> None:
    serve(engine, "one", "-p", "18103:80")
    assert "hello" in fetch(outside, "192.0.2.1", 18103)
    nft(engine, "add", "rule", "ip", "moby", "user", "ip", "saddr", "192.0.2.2", "drop")
    try:
        assert fetch(outside, "192.0.2.1", 18103, 2) == ""
        assert "hello" in fetch(engine.network, "127.0.0.1", 18103)
    finally:
        nft(engine, "flush", "chain", "ip", "moby", "user")
    assert "hello" in fetch(outside, "192.0.2.1", 18103)


def test_networks_are_apart_both_ways(engine: Engine) -> None:
    for name in ("apart-a", "apart-b"):
        engine.ok("network", "create", name)
    try:
        first, second = (
            serve(engine, "one", "--network", "apart-a", "-p", "18104:80"),
            serve(engine, "two", "--network", "apart-b"),
        )
        default = serve(engine, "three")
        for who, whom in (("one", second), ("two", first), ("three", first), ("one", default)):
            assert not reaches(engine, who, whom)
        gateway = json.loads(engine.ok("network", "inspect", "apart-b"))[0]["IPAM"]["Config"][0]["Gateway"]
        script = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {gateway} 18104"
        assert "hello" in engine.ok("exec", "two", "sh", "-c", script), "a published port is for everybody"
        assert "hello" in engine.ok(
            "exec",
            "one",
            "sh",
            "-c",
            f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {engine_address(engine)} 18104",
        )
    finally:
        engine.docker("rm", "-f", "one", "two", "three")
        engine.ok("network", "rm", "apart-a", "apart-b")


def engine_address(engine: Engine) -> str:
    """An address that every container reaches its host at."""
    gateway: str = json.loads(engine.ok("network", "inspect", "bridge"))[0]["IPAM"]["Config"][0]["Gateway"]
    return gateway


def test_without_icc_containers_do_not_reach_each_other(engine: Engine) -> None:
    engine.ok("network", "create", "--ipv6", "-o", "com.docker.network.bridge.enable_icc=false", "silent")
    try:
        serve(engine, "one", "--network", "silent", "-p", "18105:80")
        serve(engine, "two", "--network", "silent")
        assert not reaches(engine, "two", "one")
        address = json.loads(engine.ok("inspect", "one"))[0]["NetworkSettings"]["Networks"]["silent"]
        assert not reaches(engine, "two", address["GlobalIPv6Address"])
        script = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {address['Gateway']} 18105"
        assert "hello" in engine.ok("exec", "two", "sh", "-c", script)
    finally:
        engine.docker("rm", "-f", "one", "two")
        engine.ok("network", "rm", "silent")


def test_without_masquerade_addresses_are_seen(engine: Engine, outside: Network) -> None:
    engine.ok(
        "network",
        "create",
        "--subnet",
        "10.81.0.0/24",
        "-o",
        "com.docker.network.bridge.enable_ip_masquerade=false",
        "plain",
    )
    script = "import socket\ns = socket.create_server(('', 99))\ns.settimeout(30)\nprint('ready', flush=True)\nprint(s.accept()[1][0])"
    try:
        with subprocess.Popen(
            [*outside.enter, "python3", "-c", script], stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            engine.ok(
                "run", "--rm", "--network", "plain", "busybox", "nc", "-w", "5", "192.0.2.2", "99", input=""
            )
            assert server.stdout.readline().strip() == "10.81.0.2"
    finally:
        engine.ok("network", "rm", "plain")


def test_the_hosts_policy_is_respected_unless_asked_otherwise(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    through = make_engine("--firewall-backend", "iptables")
    policy = "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority filter; policy drop; }"
    for one, answer in ((engine, ""), (through, "hello")):
        for beside in neighbour(one.network):
            nft(one, policy)
            serve(one, "one", "-p", "18106:80")
            if answer:
                # The chain was flushed by nobody: what is accepted in it was put there when the network was made.
                one.ok("network", "create", "later")
            assert answer in fetch(beside, "192.0.2.1", 18106, 10 if answer else 2)
            assert bool(fetch(beside, "192.0.2.1", 18106, 2)) == bool(answer)
    table = nft(through, "list", "table", "ip", "filter")
    assert "policy drop" in table
    assert table.index("jump DOCKER-USER") < table.index("jump MOBY-FORWARD")
    nft(through, "add", "rule", "ip", "filter", "DOCKER-USER", "drop")
    for beside in neighbour(through.network):
        assert fetch(beside, "192.0.2.1", 18106, 2) == ""
    nft(through, "flush", "ruleset")
    for beside in neighbour(through.network):
        assert "hello" in fetch(beside, "192.0.2.1", 18106, 30)
    device = bridge(through, "later")
    assert device in nft(through, "list", "table", "ip", "filter")
    through.ok("network", "rm", "later")
    assert device not in nft(through, "list", "table", "ip", "filter")
    if shutil.which("iptables-nft"):
        command = [*through.network.enter, "iptables-nft", "-S", "FORWARD"]
        assert "DOCKER-USER" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
