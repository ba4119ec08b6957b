"""Networks on the host's own wire: macvlan and ipvlan."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine, Network

pytestmark = pytest.mark.skipif(KIND != "mobyd", reason="dockerd 20.10 makes gateways of its own here")


def lacks(kind: str, *parent: str) -> bool:
    """Has this kernel no devices of this kind?"""
    command = ["unshare", "--net", "ip", "link", "add", *parent, "x0", "type", kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "Unknown device type" in done.stderr or "not supported" in done.stderr


NO_IPVLAN = lacks("ipvlan", "link", "lo")
NO_VLAN = lacks("vlan", "link", "lo")
needs_ipvlan = pytest.mark.skipif(NO_IPVLAN, reason="this kernel has no ipvlan devices")
needs_vlan = pytest.mark.skipif(NO_VLAN, reason="this kernel has no 802.1q devices")


@pytest.fixture
def wire(network: Network) -> Iterator[tuple[str, Network]]:
    """A device of the engine's host, and a host 10.60.0.254 at the other end of it."""
    with Network(f"mobyo-{uuid.uuid4().hex[:8]}") as outside:
        name = f"w{uuid.uuid4().hex[:6]}"
        ours, theirs = ["ip", "-n", network.name], ["ip", "-n", outside.name]
        for command in (
            [*ours, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", outside.name],
            [*ours, "link", "set", name, "up"],
            [*theirs, "address", "add", "10.60.0.254/24", "dev", "eth0"],
            [*theirs, "-6", "address", "add", "fd00:60::254/64", "dev", "eth0", "nodad"],
            [*theirs, "link", "set", "eth0", "up"],
        ):
            subprocess.run(command, check=True)
        yield name, outside
        subprocess.run([*ours, "link", "delete", name], check=True)


@pytest.fixture
def create(engine: Engine) -> Iterator[Callable[..., str]]:
    """Makes networks; they are gone afterwards, with who was on them."""
    made: list[str] = []

    def make(*arguments: str) -> str:
        made.append(arguments[-1])
        return engine.ok("network", "create", *arguments)

    yield make
    engine.docker_quietly("ps", "--all", "--quiet", then=("rm", "--force"))
    for name in made:
        engine.docker("network", "rm", name)


def run(engine: Engine, name: str, *options: str) -> Any:
    """A container that waits; where it is on its networks."""
    engine.ok("run", "-d", "--name", name, *options, "busybox", "sleep", "600")
    return json.loads(engine.ok("inspect", name))[0]["NetworkSettings"]["Networks"]


def reaches(engine: Engine, name: str, target: str) -> bool:
    """Does a packet come back?"""
    return engine.docker("exec", name, "ping", "-c", "1", "-W", "2", target).code == 0


def devices(engine: Engine) -> set[str]:
    """The devices of the engine's host."""
    command = ["ip", "-n", engine.network.name, "-o", "link"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {line.split(": ")[1].partition("@")[0] for line in out.splitlines()}


def test_containers_are_on_the_wire(
    engine: Engine, wire: tuple[str, Network], create: Callable[..., str]
) -> None:
    name, _ = wire
    create(
        "-d", "macvlan", "--subnet", "10.60.0.0/24", "--gateway", "10.60.0.254",
        "--ipv6", "--subnet", "fd00:60::/64", "-o", f"parent={name}", "wired",
    )  # fmt: skip
    place = run(engine, "one", "--network", "wired", "--mac-address", "02:42:60:00:00:01")["wired"]
    run(engine, "two", "--network", "wired")
    assert (place["IPAddress"], place["Gateway"]) == ("10.60.0.1", "10.60.0.254")
    assert place["MacAddress"] == "02:42:60:00:00:01"
    assert "default via 10.60.0.254" in engine.ok("exec", "one", "ip", "route")
    assert reaches(engine, "one", "10.60.0.254")
    assert reaches(engine, "one", "fd00:60::254")
    assert reaches(engine, "two", "one")
    engine.ok("network", "disconnect", "wired", "two")
    assert "eth0" not in engine.ok("exec", "two", "ls", "/sys/class/net")
    engine.ok("network", "connect", "wired", "two")
    assert reaches(engine, "one", "two")


def test_several_subnets_of_a_family(
    engine: Engine, wire: tuple[str, Network], create: Callable[..., str]
) -> None:
    # The docker command sends them in no order.
    subnets = ("--subnet", "10.60.0.0/30", "--subnet", "10.61.0.0/30")
    create("-d", "macvlan", *subnets, "-o", f"parent={wire[0]}", "many")
    found = [run(engine, f"c{number}", "--network", "many")["many"]["IPAddress"] for number in range(3)]
    (left,) = {f"10.{net}.0.{host}" for net in (60, 61) for host in (1, 2)} - set(found)
    assert found[0][:5] == found[1][:5] != found[2][:5]
    assert run(engine, "asked", "--network", "many", "--ip", left)["many"]["IPAddress"] == left


def test_without_a_parent_nobody_outside_is_on_it(engine: Engine, create: Callable[..., str]) -> None:
    before = devices(engine)
    create("-d", "macvlan", "--subnet", "10.62.0.0/24", "--gateway", "10.62.0.1", "inner")
    run(engine, "one", "--network", "inner")
    run(engine, "two", "--network", "inner")
    assert reaches(engine, "one", "two")
    assert "default" not in engine.ok("exec", "one", "ip", "route")
    engine.ok("rm", "-f", "one", "two")
    engine.ok("network", "rm", "inner")
    assert devices(engine) == before


@needs_vlan
def test_a_vlan_is_made_and_goes_with_its_last_network(
    engine: Engine, wire: tuple[str, Network], create: Callable[..., str]
) -> None:
    parent = f"{wire[0]}.50"
    create("-d", "macvlan", "--subnet", "10.63.0.0/24", "-o", f"parent={parent}", "tagged")
    create("-d", "macvlan", "--subnet", "10.64.0.0/24", "-o", f"parent={parent}", "tagged-too")
    assert parent in devices(engine)
    engine.ok("network", "rm", "tagged")
    assert parent in devices(engine)
    engine.ok("network", "rm", "tagged-too")
    assert parent not in devices(engine)


@pytest.mark.skipif(not NO_VLAN, reason="this kernel has 802.1q devices")
def test_a_vlan_that_cannot_be_made_is_named(engine: Engine, wire: tuple[str, Network]) -> None:
    refused = engine.fails("network", "create", "-d", "macvlan", "-o", f"parent={wire[0]}.50", "tagged")
    assert f"failed to create {wire[0]}.50 vlan link" in refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-d", "macvlan", "-o", "macvlan_mode=odd"], "requested macvlan mode 'odd' is not valid"),
        (["-d", "ipvlan", "-o", "ipvlan_mode=l4"], "requested ipvlan mode 'l4' is not valid"),
        (["-d", "ipvlan", "-o", "ipvlan_flag=odd"], "requested ipvlan flag 'odd' is not valid"),
        (["-d", "macvlan", "-o", "parent=lo"], "loopback interface is not a valid macvlan parent link"),
        (["-d", "macvlan", "-o", "parent=nowhere0"], "invalid subinterface vlan name nowhere0"),
        (
            ["-d", "macvlan", "-o", "parent=nowhere0.5"],
            "-o parent interface was not found on the host: nowhere0",
        ),
        (["-d", "macvlan", "-o", "parent=lo.x"], "unable to parse a valid vlan id from: x"),
        (["-d", "macvlan", "-o", "parent=lo.5000"], "vlan id must be between 1-4094, received: 5000"),
        (["-d", "macvlan", "-o", "parent=a.b.c"], "required interface name format is: name.vlan_id"),
        (
            ["-d", "macvlan", "-o", "com.docker.network.nonsense=1"],
            "macvlan network option com.docker.network.nonsense is not supported yet",
        ),
    ],
)
def test_what_is_refused(engine: Engine, options: list[str], words: str) -> None:
    before = devices(engine)
    assert words in engine.fails("network", "create", *options, "wrong")
    assert devices(engine) == before
    assert engine.ok("network", "ls", "-q", "--filter", "name=wrong") == ""


def test_a_parent_is_not_shared_with_a_passed_through_one(
    engine: Engine, wire: tuple[str, Network], create: Callable[..., str]
) -> None:
    parent = f"parent={wire[0]}"
    create("-d", "macvlan", "-o", parent, "-o", "macvlan_mode=passthru", "whole")
    refused = engine.fails("network", "create", "-d", "macvlan", "-o", parent, "more")
    assert "in mode passthru" in refused


@pytest.mark.skipif(not NO_IPVLAN, reason="this kernel has ipvlan devices")
def test_a_kernel_without_ipvlan_is_named(
    engine: Engine, wire: tuple[str, Network], create: Callable[..., str]
) -> None:
    create("-d", "ipvlan", "--subnet", "10.65.0.0/24", "-o", f"parent={wire[0]}", "shared")
    refused = engine.fails("run", "--rm", "--network", "shared", "busybox", "true", code=125)
    assert "this kernel has no ipvlan devices" in refused


@needs_ipvlan
@pytest.mark.parametrize("mode", ["l2", "l3", "l3s"])
def test_containers_share_the_wires_address(
    engine: Engine, wire: tuple[str, Network], create: Callable[..., str], mode: str
) -> None:
    create(
        "-d",
        "ipvlan",
        "--subnet",
        "10.60.0.0/24",
        "-o",
        f"parent={wire[0]}",
        "-o",
        f"ipvlan_mode={mode}",
        "shared",
    )
    run(engine, "one", "--network", "shared")
    run(engine, "two", "--network", "shared")
    assert reaches(engine, "one", "two")
    if mode != "l2":
        assert "default dev eth0" in engine.ok("exec", "one", "ip", "route")
    refused = engine.fails(
        "run",
        "--rm",
        "--network",
        "shared",
        "--mac-address",
        "02:42:00:00:00:01",
        "busybox",
        "true",
        code=125,
    )
    assert "ipvlan interfaces do not support custom mac address assignment" in refused


def test_a_parent_that_is_gone_does_not_keep_the_engine_down(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    subprocess.run(
        ["ip", "-n", engine.network.name, "link", "add", "gone0", "type", "veth", "peer", "gone1"], check=True
    )
    engine.ok("network", "create", "-d", "macvlan", "--subnet", "10.66.0.0/24", "-o", "parent=gone0", "wired")
    engine.stop()
    subprocess.run(["ip", "-n", engine.network.name, "link", "delete", "gone0"], check=True)
    engine.start()
    refused = engine.fails("run", "--rm", "--network", "wired", "busybox", "true", code=125)
    assert "gone0" in refused
    subprocess.run(
        ["ip", "-n", engine.network.name, "link", "add", "gone0", "type", "veth", "peer", "gone1"], check=True
    )
    engine.ok("run", "--rm", "--network", "wired", "busybox", "true")
    engine.ok("network", "rm", "wired")
