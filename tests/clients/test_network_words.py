"""What networks cannot do, in the words that users of docker know; and what is told of who publishes what."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine

pytestmark = pytest.mark.skipif(KIND != "mobyd", reason="words of a newer dockerd")

ADDRESS = "user-specified IP address is supported on user-defined networks only"
SHARED = "container sharing network namespace with another container or host cannot be connected to any other network"
PRIVATE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"


@pytest.fixture
def net(engine: Engine) -> Iterator[str]:
    """A network of a user's own."""
    engine.ok("network", "create", "--subnet", "10.81.0.0/24", "words")
    yield "words"
    engine.docker_quietly("ps", "--all", "--quiet", then=("rm", "--force", "--volumes"))
    engine.ok("network", "rm", "words")


@pytest.mark.parametrize("mode", ["none", "host", "bridge"])
def test_an_address_is_for_a_network_of_one_s_own(engine: Engine, mode: str) -> None:
    said = engine.fails("run", "--rm", "--network", mode, "--ip", "172.17.0.50", "busybox", "true", code=125)
    assert ADDRESS in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-d", "overlay"], "This node is not a swarm manager."),
        (["--ingress"], "Ingress network can only be global scope network"),
        (["--scope", "swarm"], "cannot create a swarm scoped network when swarm is not active"),
        (
            ["--subnet", "10.4.0.0/24", "--aux-address", "a=10.4.0.5", "--aux-address", "b=10.4.0.5"],
            "failed to allocate secondary ip address (b:10.4.0.5): Address already in use",
        ),
        (["--ipam-driver", "null"], "ipv4 pool is empty"),
        (
            ["--subnet", "10.4.0.0/24", "--gateway", "10.4.0.255"],
            "failed to allocate gateway (10.4.0.255): Address already in use",
        ),
        (["--subnet", "10.4.0.0"], "invalid subnet 10.4.0.0: invalid CIDR block notation"),
    ],
)
def test_networks_that_are_none(engine: Engine, arguments: list[str], words: str) -> None:
    assert words in engine.fails("network", "create", *arguments, "wrong")
    assert engine.ok("network", "ls", "-q", "--filter", "name=wrong") == ""


def test_a_name_that_stands_for_another(engine: Engine) -> None:
    said = engine.fails("network", "create", "default")
    assert "operation is not permitted on predefined default network" in said


def test_a_bridge_is_one_network_s(engine: Engine) -> None:
    option = "com.docker.network.bridge.name=mobyonce0"
    first = engine.ok("network", "create", "-o", option, "first")
    try:
        said = engine.fails("network", "create", "-o", option, "second")
        assert f"conflicts with network {first} (mobyonce0): networks have same bridge name" in said
        usual = engine.ok(
            "network", "inspect", "--format", '{{index .Options "com.docker.network.bridge.name"}}', "bridge"
        )
        said = engine.fails("network", "create", "-o", f"com.docker.network.bridge.name={usual}", "second")
        assert "networks have same bridge name" in said
        assert engine.ok("network", "ls", "-q", "--filter", "name=second") == ""
        assert engine.ok("run", "--rm", "--network", "first", "busybox", "echo", "fine") == "fine"
    finally:
        engine.ok("network", "rm", "first")


def test_who_cannot_be_connected(engine: Engine, net: str) -> None:
    for name, mode in (("on-host", "host"), ("alone", "none"), ("usual", "bridge")):
        engine.ok("run", "-d", "--name", name, "--network", mode, "busybox", "sleep", "600")
    assert SHARED in engine.fails("network", "connect", net, "on-host")
    assert "already exists in network host" in engine.fails("network", "connect", "host", "on-host")
    said = engine.fails("network", "disconnect", "host", "on-host")
    assert "cannot disconnect container from host network" in said
    assert PRIVATE in engine.fails("network", "connect", net, "alone")
    assert PRIVATE in engine.fails("network", "connect", "none", "usual")
    assert "cannot connect container to host network" in engine.fails("network", "connect", "host", "usual")
    assert "No such container: nobody" in engine.fails("network", "connect", "nowhere", "nobody")
    assert "endpoint nobody not found" in engine.fails("network", "disconnect", "--force", net, "nobody")
    engine.ok("network", "connect", net, "usual")
    said = engine.fails("network", "connect", "--ip", "10.82.0.1", net, "usual")
    assert "no configured subnet contains IP address 10.82.0.1" in said


def test_who_does_not_run_may_be_connected_twice(engine: Engine, net: str) -> None:
    engine.ok("create", "--name", "idle", "--network", net, "busybox", "sleep", "600")
    engine.ok("network", "connect", net, "idle")
    assert engine.ok("inspect", "-f", "{{len .NetworkSettings.Networks}}", "idle") == "1"


def test_containers_are_found_by_their_ports(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "web", "-p", "18811:80", "--expose", "90", "busybox", "sleep", "600")

    def found(by: str) -> str:
        return engine.ok("ps", "--all", "--filter", by, "--format", "{{.Names}}")

    assert [found(f"publish={port}") for port in ("18811", "18800-18900/tcp")] == ["web", "web"]
    assert [found(f"publish={port}") for port in ("80", "18811/udp")] == ["", ""]
    assert [found(f"expose={port}") for port in ("80", "90", "91")] == ["web", "web", ""]
    engine.ok("stop", "--time", "0", "web")
    assert found("publish=18811") == found("expose=90") == ""


def test_a_port_is_granted_before_a_range_that_it_is_in(engine: Engine) -> None:
    engine.ok(
        "run", "-d", "--name", "web", "-p", "18820-18822:80", "-p", "18820:81", "busybox", "sleep", "600"
    )
    assert engine.ok("port", "web", "81").startswith("0.0.0.0:18820")
    assert engine.ok("port", "web", "80").startswith("0.0.0.0:18821")


def test_no_options_are_not_the_same_as_none(engine: Engine, net: str) -> None:
    form = "{{json .IPAM.Options}}"
    assert engine.ok("network", "inspect", "-f", form, "bridge", net).split() == ["null", "{}"]


def test_options_that_are_nobody_s_are_kept(engine: Engine) -> None:
    engine.ok("network", "create", "-o", "nonsense=1", "kept")
    try:
        assert engine.ok("network", "inspect", "-f", "{{.Options}}", "kept") == "map[nonsense:1]"
    finally:
        engine.ok("network", "rm", "kept")


def test_without_a_default_network_containers_are_alone(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine("--bridge", "none")
    assert engine.ok("run", "--rm", "busybox", "ls", "/sys/class/net") == "lo"
    said = engine.fails("run", "--rm", "--add-host", "up:host-gateway", "busybox", "true", code=125)
    assert "unable to derive the IP value for host-gateway" in said
    engine.ok("network", "create", "own")
    shown = engine.ok("run", "--rm", "--network", "own", "busybox", "ls", "/sys/class/net")
    assert shown.split() == ["eth0", "lo"]


def test_host_gateway_is_the_host_on_the_default_network(engine: Engine, net: str) -> None:
    form = "{{(index .IPAM.Config 0).Gateway}}"
    host = engine.ok("network", "inspect", "-f", form, "bridge")
    for network in (net, "host"):
        hosts = engine.ok(
            "run",
            "--rm",
            "--network",
            network,
            "--add-host",
            "up:host-gateway",
            "busybox",
            "cat",
            "/etc/hosts",
        )
        assert f"{host}\tup" in hosts
