"""Networks of a user's own: made, joined and left, names on them, what reaches what, restarts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest
from docker.types import IPAMConfig, IPAMPool

from tests.clients.conftest import KIND
from tests.clients.engine import Engine


@pytest.fixture
def net(engine: Engine) -> Iterator[str]:
    """A network."""
    engine.ok("network", "create", "net")
    yield "net"
    for name in engine.docker("ps", "-aq", "--filter", "network=net").out.split():
        engine.docker("rm", "-f", name)
    engine.docker("network", "rm", "net")


def run(engine: Engine, name: str, *options: str) -> str:
    """A container that waits."""
    return engine.ok("run", "-d", "--name", name, *options, "busybox", "sleep", "600")


def address(engine: Engine, name: str, network: str) -> str:
    """Where it is on a network."""
    return engine.ok(
        "inspect", "-f", f"{{{{(index .NetworkSettings.Networks {json.dumps(network)}).IPAddress}}}}", name
    )


def reaches(engine: Engine, name: str, target: str) -> bool:
    """Does a packet come back?"""
    return engine.docker("exec", name, "ping", "-c", "1", "-W", "1", target).code == 0


@pytest.mark.docker28
def test_create_inspect_list_remove(engine: Engine) -> None:
    name = engine.ok(
        "network", "create", "--subnet", "10.88.0.0/24", "--gateway", "10.88.0.254", "--ip-range", "10.88.0.128/25",
        "--label", "a=b", "--aux-address", "host=10.88.0.129", "made",
    )  # fmt: skip
    try:
        found = json.loads(engine.ok("network", "inspect", "made"))[0]
        assert (found["Id"], found["Driver"], found["Scope"], found["Labels"]) == (
            name,
            "bridge",
            "local",
            {"a": "b"},
        )
        pool = found["IPAM"]["Config"][0]
        assert (pool["Subnet"], pool["Gateway"], pool["IPRange"]) == (
            "10.88.0.0/24",
            "10.88.0.254",
            "10.88.0.128/25",
        )
        assert engine.ok("network", "ls", "-q", "--no-trunc", "--filter", "label=a=b") == name
        assert engine.ok("run", "--rm", "--network", "made", "busybox", "hostname", "-i").strip() in (
            "10.88.0.128", "10.88.0.130",
        )  # fmt: skip
    finally:
        engine.ok("network", "rm", name[:12])
    assert "network made not found" in engine.fails("network", "inspect", "made")


def test_what_cannot_be_made_or_removed(engine: Engine, net: str) -> None:
    assert "network with name net already exists" in engine.fails("network", "create", net)
    subnet = json.loads(engine.ok("network", "inspect", net))[0]["IPAM"]["Config"][0]["Subnet"]
    assert "Pool overlaps with other one on this address space" in engine.fails(
        "network", "create", "--subnet", subnet, "x"
    )
    assert "invalid" in engine.fails("network", "create", "--subnet", "10.1.2.3/16", "x")
    assert "pre-defined network and cannot be removed" in engine.fails("network", "rm", "bridge")
    assert "predefined" in engine.fails("network", "create", "bridge")
    assert "not found" in engine.fails("network", "create", "-d", "nonsense", "x")
    run(engine, "user", "--network", net)
    assert "has active endpoints" in engine.fails("network", "rm", net)


def test_names_are_found(engine: Engine, net: str) -> None:
    first = run(engine, "first", "--network", net, "--network-alias", "both")
    run(engine, "second", "--network", net, "--network-alias", "both", "--hostname", "hosted")
    assert "nameserver 127.0.0.11" in engine.ok("exec", "first", "cat", "/etc/resolv.conf")
    for name in ("second", "SECOND", "both", "hosted", "second.net"):
        assert reaches(engine, "first", name), name
    assert reaches(engine, "second", first[:12])
    found = engine.ok("exec", "first", "nslookup", "-type=a", "both")
    assert {address(engine, "first", net), address(engine, "second", net)} <= set(found.split())
    back = engine.ok("exec", "first", "nslookup", address(engine, "second", net))
    assert "name = second.net" in back
    assert "NXDOMAIN" in engine.docker("exec", "first", "nslookup", "-type=a", "nobody.invalid").out or (
        "SERVFAIL" in engine.docker("exec", "first", "nslookup", "-type=a", "nobody.invalid").out
    )
    engine.ok("rm", "-f", "second")
    assert not reaches(engine, "first", "second")


def test_networks_are_apart(engine: Engine, net: str) -> None:
    engine.ok("network", "create", "apart")
    try:
        run(engine, "here", "--network", net)
        run(engine, "there", "--network", "apart")
        assert not reaches(engine, "here", address(engine, "there", "apart"))
        assert not reaches(engine, "here", "there")
        engine.ok("network", "connect", "--alias", "visitor", "apart", "here")
        assert reaches(engine, "here", "there")
        assert reaches(engine, "there", "visitor")
        engine.ok("network", "disconnect", "apart", "here")
        assert not reaches(engine, "here", address(engine, "there", "apart"))
        assert "is not connected" in engine.fails("network", "disconnect", "apart", "here")
    finally:
        engine.docker("rm", "-f", "here", "there")
        engine.ok("network", "rm", "apart")


def test_an_internal_network_has_no_way_out(engine: Engine) -> None:
    engine.ok("network", "create", "--internal", "inner")
    try:
        assert (
            engine.ok(
                "run",
                "--rm",
                "--network",
                "inner",
                "busybox",
                "sh",
                "-c",
                "ip route | grep -c default || true",
            )
            == "0"
        )
    finally:
        engine.ok("network", "rm", "inner")


@pytest.mark.docker28
def test_an_address_of_ones_own(engine: Engine) -> None:
    with engine.client() as client:
        pools = IPAMConfig(pool_configs=[IPAMPool(subnet="10.89.0.0/24")])
        network = client.networks.create("fixed", ipam=pools)
        try:
            run(
                engine,
                "placed",
                "--network",
                "fixed",
                "--ip",
                "10.89.0.77",
                "--mac-address",
                "02:42:ac:11:22:33",
            )
            assert address(engine, "placed", "fixed") == "10.89.0.77"
            assert "02:42:ac:11:22:33" in engine.ok("exec", "placed", "cat", "/sys/class/net/eth0/address")
            taken = engine.fails(
                "run", "--rm", "--network", "fixed", "--ip", "10.89.0.77", "busybox", "true", code=125
            )
            assert "Address already in use" in taken
            refused = engine.fails("run", "--rm", "--ip", "172.17.0.9", "busybox", "true", code=125)
            assert "user-specified IP address is supported on user-defined networks only" in refused
        finally:
            engine.docker("rm", "-f", "placed")
            network.remove()


@pytest.mark.docker28
def test_several_networks_at_once_and_a_way_out(engine: Engine, net: str) -> None:
    engine.ok("network", "create", "more")
    try:
        run(engine, "many", "--network", net, "--network", "more")
        routes = engine.ok("exec", "many", "ip", "route").splitlines()
        assert sum(route.startswith("default") for route in routes) == 1
        assert len(routes) == 3
        gone = "more" if "eth1" in routes[0] else net
        engine.ok("network", "disconnect", gone, "many")
        routes = engine.ok("exec", "many", "ip", "route").splitlines()
        assert sum(route.startswith("default") for route in routes) == 1
        engine.ok("restart", "-t", "0", "many")
        assert len(engine.ok("exec", "many", "ip", "route").splitlines()) == 2
    finally:
        engine.docker("rm", "-f", "many")
        engine.docker("network", "rm", "more")


def test_a_stopped_container_changes_its_networks(engine: Engine, net: str) -> None:
    name = engine.ok("create", "--name", "later", "busybox", "sleep", "600")
    engine.ok("network", "connect", net, name)
    engine.ok("network", "disconnect", "bridge", name)
    engine.ok("start", name)
    assert list(json.loads(engine.ok("inspect", name))[0]["NetworkSettings"]["Networks"]) == [net]
    assert address(engine, name, net) != ""


def test_ports_are_published_on_any_network(engine: Engine, net: str) -> None:
    engine.ok(
        "run", "-d", "--name", "server", "--network", net, "-p", "127.0.0.1:18080:80", "busybox", "sh", "-c",
        "while true; do echo -e 'HTTP/1.0 200 OK\\r\\n\\r\\nhello' | nc -l -p 80; done",
    )  # fmt: skip
    assert engine.network.get(18080).strip() == "hello"


def test_prune_removes_what_nobody_uses(engine: Engine, net: str) -> None:
    run(engine, "kept", "--network", net)
    engine.ok("network", "create", "--label", "old", "unused")
    engine.ok("network", "prune", "-f", "--filter", "label=other")
    assert "unused" in engine.ok("network", "ls")
    assert "unused" in engine.ok("network", "prune", "-f")
    assert net in engine.ok("network", "ls", "--format", "{{.Name}}").split()


@pytest.mark.skipif(KIND != "mobyd", reason="dockerd stops its containers")
def test_networks_and_names_survive_a_crash(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.ok("network", "create", "lasting")
    run(engine, "one", "--network", "lasting")
    run(engine, "two", "--network", "lasting")
    engine.kill()
    engine.start()
    assert reaches(engine, "one", "two")
    run(engine, "three", "--network", "lasting")
    assert reaches(engine, "two", "three")
    engine.ok("network", "disconnect", "lasting", "one")
    engine.ok("network", "connect", "lasting", "one")
    assert reaches(engine, "three", "one")
    engine.ok("rm", "-f", "one", "two", "three")
    engine.ok("network", "rm", "lasting")


def test_options_of_a_bridge_have_an_effect(engine: Engine) -> None:
    options = {
        "container_iface_prefix": "lan", "bridge.host_binding_ipv4": "127.0.0.7", "bridge.name": "mobyopt0",
        "bridge.inhibit_ipv4": "true", "driver.mtu": "1400",
    }  # fmt: skip
    words = [word for name, value in options.items() for word in ("-o", f"com.docker.network.{name}={value}")]
    engine.ok("network", "create", "--subnet", "10.87.0.0/24", *words, "odd")
    try:
        engine.ok(
            "run", "-d", "--name", "box", "--network", "odd", "-p", "8087:80", "busybox", "sleep", "600"
        )
        assert engine.ok("exec", "box", "ls", "/sys/class/net").split() == ["lan0", "lo"]
        assert engine.ok("exec", "box", "cat", "/sys/class/net/lan0/mtu") == "1400"
        assert engine.ok("port", "box") == "80/tcp -> 127.0.0.7:8087"
        device = ["ip", "-n", engine.network.name, "-4", "address", "show", "mobyopt0"]
        shown = subprocess.run(device, capture_output=True, text=True, check=True).stdout
        assert "mtu 1400" in shown or shown == ""
        assert "inet " not in shown
    finally:
        engine.docker("rm", "--force", "box")
        engine.ok("network", "rm", "odd")


def test_a_bridge_that_was_there_before_stays(engine: Engine) -> None:
    ip = ["ip", "-n", engine.network.name, "link"]
    subprocess.run([*ip, "add", "mobymine0", "type", "bridge"], check=True)
    try:
        engine.ok("network", "create", "-o", "com.docker.network.bridge.name=mobymine0", "mine")
        engine.ok("run", "--rm", "--network", "mine", "busybox", "true")
        engine.ok("network", "rm", "mine")
        assert "mobymine0" in subprocess.run(ip, capture_output=True, text=True, check=True).stdout
    finally:
        subprocess.run([*ip, "delete", "mobymine0"], check=True)
