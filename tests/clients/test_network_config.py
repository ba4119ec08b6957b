"""Configurations that networks share, address pools, what lists and prunes choose, and bad input."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine

mobyd = pytest.mark.skipif(KIND != "mobyd", reason="dockerd 20.10 says it otherwise")


@pytest.fixture
def create(engine: Engine) -> Iterator[Callable[..., str]]:
    """Makes networks; they are gone afterwards, with who was on them."""
    made: list[str] = []

    def make(*arguments: str) -> str:
        made.append(arguments[-1])
        return engine.ok("network", "create", *arguments)

    yield make
    engine.docker_quietly("ps", "--all", "--quiet", then=("rm", "--force"))
    for name in reversed(made):
        engine.docker("network", "rm", name)


def inspect(engine: Engine, name: str) -> Any:
    """What there is to know of a network."""
    return json.loads(engine.ok("network", "inspect", name))[0]


def listed(engine: Engine, *filters: str) -> set[str]:
    """The names of the networks that filters let through."""
    arguments = [word for text in filters for word in ("--filter", text)]
    return set(engine.ok("network", "ls", "--format", "{{.Name}}", *arguments).split())


def post(engine: Engine, path: str, body: dict[str, Any], version: str = "1.54") -> Any:
    """An answer of the API to something that the command would not send."""
    with engine.client() as client:
        return client.api._post_json(f"{client.api.base_url}/v{version}{path}", data=body)


def get(engine: Engine, path: str, version: str) -> Any:
    """What the API of a version says."""
    with engine.client() as client:
        return client.api._get(f"{client.api.base_url}/v{version}{path}").json()


def test_a_configuration_is_anothers(engine: Engine, create: Callable[..., str]) -> None:
    create(
        "--config-only", "--subnet", "10.70.0.0/24", "--ip-range", "10.70.0.64/26", "--label", "a=b",
        "-o", "com.docker.network.driver.mtu=1400", "template",
    )  # fmt: skip
    create("--config-from", "template", "made")
    found, source = inspect(engine, "made"), inspect(engine, "template")
    assert (found["ConfigFrom"]["Network"], found["ConfigOnly"], found["Labels"]) == (
        "template",
        False,
        {"a": "b"},
    )
    assert found["IPAM"]["Config"][0]["Subnet"] == "10.70.0.0/24"
    assert found["Options"] == {"com.docker.network.driver.mtu": "1400"}
    assert (source["ConfigOnly"], source["Driver"]) == (True, "null")
    out = engine.ok(
        "run", "--rm", "--network", "made", "busybox", "sh", "-c", "hostname -i; cat /sys/class/net/eth0/mtu"
    )
    assert out.split() == ["10.70.0.65", "1400"]
    assert "is in use" in engine.fails("network", "rm", "template")
    assert "template" not in engine.ok("network", "prune", "-f")
    assert "configuration-only" in engine.fails(
        "run", "--rm", "--network", "template", "busybox", "true", code=125
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--config-only", "--internal"], "configuration network can only contain network specific fields"),
        (["--config-only", "--config-from", "template"], "cannot depend on another configuration network"),
        (["--config-from", "template", "--label", "a"], "user-specified configurations are not supported"),
        (["--config-from", "template", "-o", "a=b"], "network driver options are not supported"),
        (["--config-from", "nothing"], 'configuration network "nothing" does not exist'),
        (["--config-from", "bridge"], 'configuration network "bridge" does not exist'),
    ],
)
def test_configurations_that_cannot_be(
    engine: Engine, create: Callable[..., str], arguments: list[str], words: str
) -> None:
    create("--config-only", "template")
    assert words in engine.fails("network", "create", *arguments, "wrong")


@mobyd
def test_how_full_a_network_is(engine: Engine, create: Callable[..., str]) -> None:
    create("--subnet", "10.71.0.0/24", "--ip-range", "10.71.0.0/30", "small")
    engine.ok("run", "-d", "--name", "one", "--network", "small", "busybox", "sleep", "60")
    assert get(engine, "/networks/small", "1.52")["Status"]["IPAM"]["Subnets"] == {
        "10.71.0.0/24": {"IPsInUse": 4, "DynamicIPsAvailable": 1}
    }
    assert "Status" not in get(engine, "/networks/small", "1.51")
    assert "Containers" in get(engine, "/networks", "1.27")[0]


def test_addresses_run_out_and_come_back(engine: Engine, create: Callable[..., str]) -> None:
    create("--subnet", "10.72.0.0/30", "tiny")
    engine.ok("run", "-d", "--name", "one", "--network", "tiny", "busybox", "sleep", "60")
    full = engine.fails("run", "--rm", "--network", "tiny", "busybox", "true", code=125)
    assert "no available IPv4 addresses on this network's address pools: tiny" in full
    engine.ok("rm", "-f", "one")
    assert engine.ok("run", "--rm", "--network", "tiny", "busybox", "hostname", "-i") == "10.72.0.2"


@mobyd
def test_pools_are_the_administrators_and_run_out(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(
        "--default-address-pool", "base=10.73.0.0/23,size=24",
        "--default-network-opt", "bridge=com.docker.network.driver.mtu=1300", load=False,
    )  # fmt: skip
    pools = json.loads(engine.ok("info", "-f", "{{json .DefaultAddressPools}}"))
    assert pools == [{"Base": "10.73.0.0/23", "Size": 24}]
    engine.ok("network", "create", "one")
    assert inspect(engine, "one")["IPAM"]["Config"][0]["Subnet"] == "10.73.1.0/24"
    assert inspect(engine, "one")["Options"] == {"com.docker.network.driver.mtu": "1300"}
    none = engine.fails("network", "create", "two")
    assert "all predefined address pools have been fully subnetted" in none
    engine.ok("network", "create", "--subnet", "10.74.0.0/24", "three")
    engine.ok("network", "rm", "one", "three")
    engine.ok("network", "create", "--subnet", "0.0.0.0/25", "sized")
    assert inspect(engine, "sized")["IPAM"]["Config"][0]["Subnet"] == "10.73.1.0/25"
    engine.ok("network", "rm", "sized")


def test_without_a_default_bridge_there_is_a_loopback(make_engine: Callable[..., Engine]) -> None:
    """`docker run` works as it is; networks of a user's own are there as ever."""
    engine = make_engine("--bridge", "none")
    assert engine.ok("run", "--rm", "busybox", "ls", "/sys/class/net").split() == ["lo"]
    engine.ok("run", "-d", "--name", "idle", "-p", "8080:80", "busybox", "sleep", "100")
    shown = json.loads(engine.ok("inspect", "idle"))[0]
    assert shown["Config"]["NetworkDisabled"]
    assert shown["HostConfig"]["NetworkMode"] in ("bridge", "default")
    engine.ok("restart", "-t0", "idle")
    assert engine.ok("exec", "idle", "ls", "/sys/class/net").split() == ["lo"]
    engine.ok("network", "create", "own")
    assert "eth0" in engine.ok("run", "--rm", "--network", "own", "busybox", "ls", "/sys/class/net").split()
    engine.ok("rm", "-f", "idle")
    engine.ok("network", "rm", "own")


def test_what_the_host_is_on_is_left_alone(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine("--bridge", "none", "--default-address-pool", "base=10.74.0.0/22,size=24")
    command = ["ip", "-n", engine.network.name]
    for words in (
        "link add lan0 type veth peer name lan1", "link set lan0 up", "link set lan1 up",
        "address add 10.74.0.1/25 dev lan0", "route add 10.74.1.0/26 dev lan0",
        # Behind a gateway is nobody's: half the world, if a VPN says so.
        "route add 0.0.0.0/1 via 10.74.0.2", "route add 10.74.2.0/24 via 10.74.0.2",
    ):  # fmt: skip
        subprocess.run([*command, *words.split()], check=True)
    subnets = []
    for name in ("first", "second"):
        engine.ok("network", "create", name)
        subnets.append(inspect(engine, name)["IPAM"]["Config"][0]["Subnet"])
    assert subnets == ["10.74.2.0/24", "10.74.3.0/24"]
    assert "fully subnetted" in engine.fails("network", "create", "third")
    # Whoever names it means it: the wire that the host is on, for one.
    engine.ok("network", "create", "-d", "macvlan", "-o", "parent=lan0", "--subnet", "10.74.0.0/25", "wire")
    again = engine.fails("network", "create", "--subnet", "10.74.0.0/26", "other")
    assert "Pool overlaps with other one on this address space" in again
    engine.ok("network", "rm", "first", "second", "wire")


@mobyd
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--subnet", "10.1.2.3/16"], "invalid subnet 10.1.2.3/16: it should be 10.1.0.0/16"),
        (["--subnet", "10.1.0.0/16", "--gateway", "10.2.0.1"], "10.2.0.1"),
        (
            ["--subnet", "10.1.0.0/24", "--ip-range", "10.1.0.0/16"],
            "CIDR block is bigger than its parent subnet",
        ),
        (["--subnet", "10.1.0.0/24", "--ip-range", "10.1.0.3/30"], "it should be 10.1.0.0/30"),
        (["--subnet", "x"], "x"),
        pytest.param(
            ["-o", "com.docker.network.enable_ipv6=odd"], "is not a valid bool", marks=pytest.mark.docker28
        ),
        (["--ipam-driver", "odd"], 'plugin "odd" not found'),
        (["--scope", "swarm"], "cannot create a swarm scoped network when swarm is not active"),
        (["-o", "com.docker.network.driver.mtu=x"], "failed to parse com.docker.network.driver.mtu value"),
    ],
)
def test_what_cannot_be_made(engine: Engine, arguments: list[str], words: str) -> None:
    assert words in engine.fails("network", "create", *arguments, "wrong")
    assert listed(engine, "name=wrong") == set()


@mobyd
@pytest.mark.parametrize(
    ("pool", "words"),
    [
        ({"Subnet": "x"}, "invalid subnet x: invalid CIDR block notation"),
        ({"Subnet": "10.1.0.0/24", "Gateway": "10.2.0.1"}, "invalid gateway 10.2.0.1: parent subnet 10.1.0.0/24 doesn't contain this address"),
        ({"Subnet": "10.1.0.0/24", "Gateway": "fd00::1"}, "invalid gateway fd00::1: parent subnet is an IPv4 block"),
        ({"Subnet": "10.1.0.0/24", "IPRange": "fd00::/64"}, "invalid ip-range fd00::/64: parent subnet is an IPv4 block"),
        ({"Subnet": "10.1.0.0/24", "AuxiliaryAddresses": {"a": "10.2.0.1"}}, "invalid auxiliary address a: parent subnet 10.1.0.0/24 doesn't contain this address"),
        ({"Subnet": "10.1.0.0/24", "AuxiliaryAddresses": {"a": "10.1.0.1"}}, "failed to allocate secondary ip address (a:10.1.0.1): Address already in use"),
        ({"Gateway": "10.1.0.1"}, "no subnet specified"),
    ],
)  # fmt: skip
def test_pools_that_are_none(engine: Engine, pool: dict[str, Any], words: str) -> None:
    answer = post(engine, "/networks/create", {"Name": "wrong", "IPAM": {"Config": [pool]}})
    # What is right by itself and cannot be granted is told as dockerd does: an error of its own.
    assert answer.status_code == (500 if words.startswith("failed to allocate") else 400)
    assert words in answer.json()["message"]


def test_lists_are_filtered(engine: Engine, create: Callable[..., str]) -> None:
    create("--label", "kind=a", "filter-a")
    other = create("--label", "kind=b", "filter-b")
    engine.ok("run", "-d", "--network", "filter-b", "busybox", "sleep", "60")
    ours = {"filter-a", "filter-b"}
    assert listed(engine, "name=filter-") == ours
    assert listed(engine, "name=^filter-a$") == {"filter-a"}
    assert listed(engine, f"id={other[:12]}") == {"filter-b"}
    assert listed(engine, "label=kind") & ours == ours
    assert listed(engine, "label=kind=b") == {"filter-b"}
    assert listed(engine, "type=builtin") == {"bridge", "host", "none"}
    assert ours <= listed(engine, "type=custom")
    assert listed(engine, "driver=host") == {"host"}
    assert listed(engine, "driver=host", "driver=null") == {"host", "none"}
    assert ours <= listed(engine, "scope=local")
    assert listed(engine, "scope=swarm") == set()
    assert listed(engine, "dangling=true", "name=filter-") == {"filter-a"}
    assert listed(engine, "dangling=0", "name=filter-") == {"filter-b"}
    assert "invalid filter" in engine.fails("network", "ls", "--filter", "type=odd")
    assert "invalid filter" in engine.fails("network", "ls", "--filter", "odd=1")
    assert "dangling" in engine.fails("network", "ls", "--filter", "dangling=perhaps")


def test_prunes_are_filtered(engine: Engine, create: Callable[..., str]) -> None:
    create("--label", "keep", "prune-a")
    create("prune-b")
    create("prune-c")
    engine.ok("network", "prune", "-f", "--filter", "until=1h")
    assert listed(engine, "name=prune-") == {"prune-a", "prune-b", "prune-c"}
    assert "prune-a" in engine.ok("network", "prune", "-f", "--filter", "label=keep")
    create("--label", "keep", "prune-d")
    out = engine.ok("network", "prune", "-f", "--filter", "label!=keep")
    assert "prune-b" in out
    assert "prune-c" in out
    assert listed(engine, "name=prune-") == {"prune-d"}
    assert "invalid filter" in engine.fails("network", "prune", "-f", "--filter", "name=x")
