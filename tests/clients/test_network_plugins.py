"""Networks that a plugin makes, and addresses that a plugin grants, through the docker command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.engine import Engine
from tests.leftovers import links
from tests.sample_plugins import Process


@pytest.fixture
def wires(engine: Engine, tmp_path: Path) -> Iterator[Process]:
    """A plugin named `wires` that makes networks."""
    path = engine.plugins / "wires.sock"
    with Process("networks", path, tmp_path / "wires", engine.network.enter) as running:
        yield running
        running.feel()
        clean(engine)


@pytest.fixture
def numbers(engine: Engine, tmp_path: Path) -> Iterator[Process]:
    """A plugin named `numbers` that grants addresses."""
    with Process("addresses", engine.plugins / "numbers.sock", tmp_path / "numbers") as running:
        yield running
        running.feel()
        clean(engine)


def clean(engine: Engine) -> None:
    """No containers and no networks of a user's own."""
    engine.docker_quietly("ps", "--all", "--quiet", then=("rm", "--force", "--volumes"))
    engine.ok("network", "prune", "--force")


def granted(numbers: Process) -> dict[str, list[str]]:
    """What the plugin has granted, by pool."""
    found: dict[str, list[str]] = json.loads((numbers.state / "granted.json").read_text())
    return found


def test_containers_meet_on_a_plugin_s_network(engine: Engine, wires: Process) -> None:
    engine.ok("network", "create", "-d", "wires", "-o", "prefix=wire", "--subnet", "10.66.0.0/24", "plugged")
    assert engine.ok("network", "inspect", "-f", "{{.Driver}} {{.Scope}}", "plugged") == "wires local"
    told = wires.calls("NetworkDriver.CreateNetwork")[0]["request"]
    assert told["IPv4Data"] == [
        {"AddressSpace": "LocalDefault", "Pool": "10.66.0.0/24", "Gateway": "10.66.0.1/24"}
    ]
    assert told["Options"]["com.docker.network.generic"] == {"prefix": "wire"}
    engine.ok("run", "-d", "--name", "one", "--network", "plugged", "busybox", "sleep", "600")
    assert engine.ok("run", "--rm", "--network", "plugged", "busybox", "ping", "-c", "1", "one").count(
        "1 packets received"
    )
    assert "10.66.0.1 dev wire0" in engine.ok("exec", "one", "ip", "route")
    assert "198.51.100.0/24 dev wire0" in engine.ok("exec", "one", "ip", "route")
    form = "{{.NetworkSettings.Networks.plugged.MacAddress}} {{.NetworkSettings.Networks.plugged.IPAddress}}"
    mac, address = engine.ok("inspect", "-f", form, "one").split()
    assert (mac[:6], address) == ("02:11:", "10.66.0.2")
    assert mac in engine.ok("exec", "one", "ip", "link", "show", "wire0")
    assert "wires" in json.loads(engine.ok("info", "-f", "{{json .Plugins.Network}}"))
    engine.ok("rm", "-f", "one")
    methods = [call["method"].partition(".")[2] for call in wires.calls()]
    assert (methods.count("Leave"), methods.count("DeleteEndpoint")) == (2, 2)
    engine.ok("network", "rm", "plugged")
    assert not [name for name in links(engine.network.enter) if name.startswith(("sp-", "vh", "vc"))]


def test_a_running_container_is_connected_and_disconnected(engine: Engine, wires: Process) -> None:
    engine.ok("network", "create", "-d", "wires", "plugged")
    engine.ok("run", "-d", "--name", "one", "busybox", "sleep", "600")
    engine.ok("network", "connect", "plugged", "one")
    assert "eth1" in engine.ok("exec", "one", "ls", "/sys/class/net").split()
    engine.ok("network", "disconnect", "plugged", "one")
    assert "eth1" not in engine.ok("exec", "one", "ls", "/sys/class/net").split()
    engine.ok("network", "rm", "plugged")


def test_a_network_that_the_plugin_refuses_is_none(engine: Engine, wires: Process) -> None:
    assert "remote: unknown option wrong" in engine.fails(
        "network", "create", "-d", "wires", "-o", "wrong=1", "plugged"
    )
    assert "plugged" not in engine.ok("network", "ls")
    said = engine.fails("network", "create", "-d", "absent", "plugged")
    assert 'plugin "absent" not found' in said


def test_a_join_that_fails_leaves_nothing(engine: Engine, wires: Process) -> None:
    engine.ok("network", "create", "-d", "wires", "plugged")
    wires.feel(NetworkDriver_Join="refuse")
    said = engine.fails("run", "--name", "one", "--network", "plugged", "busybox", "true", code=125)
    assert "NetworkDriver.Join: not today" in said
    wires.feel()
    assert len(wires.calls("NetworkDriver.DeleteEndpoint")) == 1
    engine.ok("start", "one")
    engine.ok("rm", "-f", "one")
    engine.ok("network", "rm", "plugged")


def test_networks_of_a_plugin_outlive_the_daemon(make_engine: Callable[..., Engine], tmp_path: Path) -> None:
    engine = make_engine()
    with Process(
        "networks", engine.plugins / "wires.sock", tmp_path / "wires", engine.network.enter
    ) as wires:
        engine.ok("network", "create", "-d", "wires", "plugged")
        engine.ok("run", "-d", "--name", "one", "--network", "plugged", "busybox", "sleep", "600")
        before = engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.plugged.IPAddress}}", "one")
        engine.kill()
        wires.stop()
        engine.start()
        assert engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.plugged.IPAddress}}", "one") == before
        wires.start()
        engine.ok("run", "--rm", "--network", "plugged", "busybox", "ping", "-c", "1", before)
        engine.ok("rm", "-f", "one")
        engine.ok("network", "rm", "plugged")
        assert len(wires.calls("NetworkDriver.CreateNetwork")) == 1


def test_addresses_of_a_plugin(engine: Engine, numbers: Process) -> None:
    engine.ok("network", "create", "--ipam-driver", "numbers", "--ipam-opt", "a=b", "counted")
    assert granted(numbers) == {"10.77.0.0/24": ["10.77.0.1"]}
    asked = numbers.calls("IpamDriver.RequestPool")[0]["request"]
    assert asked == {"AddressSpace": "here", "Pool": "", "SubPool": "", "Options": {"a": "b"}, "V6": False}
    assert engine.ok(
        "network", "inspect", "-f", "{{.IPAM.Driver}} {{(index .IPAM.Config 0).Subnet}}", "counted"
    ) == ("numbers 10.77.0.0/24")
    engine.ok("run", "-d", "--name", "one", "--network", "counted", "busybox", "sleep", "600")
    engine.ok(
        "run", "-d", "--name", "two", "--network", "counted", "--ip", "10.77.0.9", "busybox", "sleep", "600"
    )
    assert sorted(granted(numbers)["10.77.0.0/24"]) == ["10.77.0.1", "10.77.0.2", "10.77.0.9"]
    mac = engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.counted.MacAddress}}", "one")
    options = [call["request"]["Options"] for call in numbers.calls("IpamDriver.RequestAddress")]
    assert {"com.docker.network.endpoint.macaddress": mac} in options
    assert engine.ok("exec", "one", "ping", "-c", "1", "two").count("1 packets received")
    engine.ok("rm", "-f", "one", "two")
    assert granted(numbers) == {"10.77.0.0/24": ["10.77.0.1"]}
    engine.ok("network", "rm", "counted")
    assert granted(numbers) == {}


def test_a_plugin_s_network_without_addresses(engine: Engine, wires: Process) -> None:
    engine.ok("network", "create", "-d", "wires", "--ipam-driver", "null", "bare")
    told = wires.calls("NetworkDriver.CreateNetwork")[0]["request"]
    assert told["IPv4Data"] == [{"AddressSpace": "null", "Pool": "0.0.0.0/0"}]
    form = "{{.IPAM.Driver}} {{(index .IPAM.Config 0).Subnet}}"
    assert engine.ok("network", "inspect", "-f", form, "bare") == "null 0.0.0.0/0"
    shown = engine.ok("run", "--rm", "--network", "bare", "busybox", "ip", "-4", "address")
    assert shown.count("inet ") == 1, "that of the loopback device alone"
    for driver in ("bridge", "macvlan"):
        said = engine.fails("network", "create", "-d", driver, "--ipam-driver", "null", "none4")
        assert "ipv4 pool is empty" in said
    said = engine.fails(
        "network", "create", "-d", "wires", "--ipam-driver", "null", "--subnet", "10.9.0.0/24", "a"
    )
    assert "null ipam driver does not handle specific address pool requests" in said


def test_what_a_plugin_does_not_grant_is_not_made(engine: Engine, numbers: Process) -> None:
    numbers.feel(IpamDriver_RequestAddress="refuse")
    said = engine.fails("network", "create", "--ipam-driver", "numbers", "counted")
    assert "failed to allocate gateway (): IpamDriver.RequestAddress: not today" in said
    assert granted(numbers) == {}
    said = engine.fails("network", "create", "--ipam-driver", "absent", "counted")
    assert 'plugin "absent" not found' in said
