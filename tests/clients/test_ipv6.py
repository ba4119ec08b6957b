"""Networks of two families: addresses, names, the way out and the way in, gateway modes, restarts."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine, Network, fetch

SERVER = "while :; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello' | nc -l -p 80 > /dev/null; done"
SUBNET = "fd00:88::/64"

pytestmark = pytest.mark.skipif(KIND != "mobyd", reason="dockerd 20.10 has IPv6 of another kind")


@pytest.fixture
def dual(engine: Engine) -> Iterator[str]:
    """A network of both families."""
    engine.ok("network", "create", "--ipv6", "--subnet", SUBNET, "dual")
    yield "dual"
    for name in engine.docker("ps", "-aq", "--filter", "network=dual").out.split():
        engine.docker("rm", "-f", name)
    engine.ok("network", "rm", "dual")


@pytest.fixture
def outside(network: Network) -> Iterator[Network]:
    """A host beside the engine's, 2001:db8::2 to its 2001:db8::1, which routes all else through it."""
    with Network(f"mobyo-{uuid.uuid4().hex[:8]}") as found:
        name = f"o{uuid.uuid4().hex[:8]}"
        ours, theirs = ["ip", "-n", network.name], ["ip", "-n", found.name]
        commands = [
            [*ours, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", found.name],
            [*ours, "-6", "address", "add", "2001:db8::1/64", "dev", name, "nodad"],
            [*ours, "link", "set", name, "up"],
            [*theirs, "-6", "address", "add", "2001:db8::2/64", "dev", "eth0", "nodad"],
            [*theirs, "link", "set", "eth0", "up"],
            [*theirs, "-6", "route", "add", "default", "via", "2001:db8::1"],
        ]
        for command in commands:
            subprocess.run(command, check=True)
        yield found
        subprocess.run([*ours, "link", "delete", name], check=True)


def run(engine: Engine, name: str, *options: str) -> str:
    """A container that serves."""
    return engine.ok("run", "-d", "--name", name, *options, "busybox", "sh", "-c", SERVER)


def settings(engine: Engine, name: str, network: str) -> Any:
    """Where it is on a network."""
    return json.loads(engine.ok("inspect", name))[0]["NetworkSettings"]["Networks"][network]


def reaches(engine: Engine, name: str, target: str) -> bool:
    """Does a packet come back?"""
    return engine.docker("exec", name, "ping", "-c", "1", "-W", "2", target).code == 0


def test_addresses_routes_and_hosts(engine: Engine, dual: str) -> None:
    run(engine, "one", "--network", dual)
    shown = settings(engine, "one", dual)
    assert (shown["GlobalIPv6Address"], shown["GlobalIPv6PrefixLen"]) == ("fd00:88::2", 64)
    assert (shown["IPv6Gateway"], shown["IPAddress"] != "") == ("fd00:88::1", True)
    assert "fd00:88::2/64" in engine.ok("exec", "one", "ip", "-6", "address", "show", "dev", "eth0")
    assert "default via fd00:88::1 dev eth0" in engine.ok("exec", "one", "ip", "-6", "route")
    assert "fd00:88::2\t" in engine.ok("exec", "one", "cat", "/etc/hosts")
    on = json.loads(engine.ok("network", "inspect", dual))[0]
    assert on["EnableIPv6"]
    assert [pool["Subnet"] for pool in on["IPAM"]["Config"]][1] == SUBNET
    assert next(iter(on["Containers"].values()))["IPv6Address"] == "fd00:88::2/64"


def test_a_subnet_of_the_pool(engine: Engine) -> None:
    engine.ok("network", "create", "--ipv6", "pooled")
    try:
        pools = json.loads(engine.ok("network", "inspect", "pooled"))[0]["IPAM"]["Config"]
        assert pools[1]["Subnet"].startswith("fd")
        assert pools[1]["Subnet"].endswith("/64")
        assert pools[1]["Gateway"].endswith("::1")
    finally:
        engine.ok("network", "rm", "pooled")


@pytest.mark.docker28
def test_ipv6_alone(engine: Engine) -> None:
    engine.ok("network", "create", "--ipv6", "--ipv4=false", "--subnet", "fd00:89::/64", "six")
    try:
        run(engine, "one", "--network", "six", "-p", "18090:80")
        run(engine, "two", "--network", "six")
        shown = settings(engine, "one", "six")
        assert (shown["IPAddress"], shown["GlobalIPv6Address"]) == ("", "fd00:89::2")
        assert engine.ok("port", "one") == "80/tcp -> [::]:18090"
        assert reaches(engine, "two", "one")
        assert "hello" in fetch(engine.network, "fd00:89::1", 18090)
    finally:
        engine.docker("rm", "-f", "one", "two")
        engine.ok("network", "rm", "six")
    assert "IPv4 or IPv6 must be enabled" in engine.fails("network", "create", "--ipv4=false", "none-at-all")


def test_names_have_both_addresses(engine: Engine, dual: str) -> None:
    run(engine, "one", "--network", dual)
    run(engine, "two", "--network", dual)
    found = engine.ok("exec", "two", "nslookup", "-type=aaaa", "one")
    assert settings(engine, "one", dual)["GlobalIPv6Address"] in found
    assert "name = one.dual" in engine.ok("exec", "two", "nslookup", "fd00:88::2")
    assert engine.ok("exec", "two", "ping", "-6", "-c", "1", "-W", "2", "one")


def test_an_address_of_ones_own(engine: Engine, dual: str) -> None:
    run(engine, "one", "--network", dual, "--ip6", "fd00:88::77")
    assert settings(engine, "one", dual)["GlobalIPv6Address"] == "fd00:88::77"
    taken = engine.fails(
        "run", "--rm", "--network", dual, "--ip6", "fd00:88::77", "busybox", "true", code=125
    )
    assert "Address already in use" in taken
    apart = engine.fails("run", "--rm", "--network", dual, "--ip6", "fd00:1::1", "busybox", "true", code=125)
    assert "no configured subnet contains IP address fd00:1::1" in apart
    run(engine, "two", "--network", dual, "--link-local-ip", "fe80::77", "--link-local-ip", "169.254.1.77")
    shown = engine.ok("exec", "two", "ip", "address", "show", "dev", "eth0")
    assert "fe80::77/64" in shown
    assert "169.254.1.77/16" in shown


def test_what_goes_out_has_the_hosts_address(engine: Engine, dual: str, outside: Network) -> None:
    run(engine, "one", "--network", dual)
    seen: list[str] = []
    script = "import socket\ns = socket.create_server(('::', 99), family=socket.AF_INET6)\ns.settimeout(30)\nprint('ready', flush=True)\nprint(s.accept()[1][0])"
    with subprocess.Popen(
        [*outside.enter, "python3", "-c", script], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        engine.ok("exec", "one", "nc", "-w", "5", "2001:db8::2", "99", input="")
        seen.append(server.stdout.readline().strip())
    assert seen == ["2001:db8::1"]


@pytest.mark.docker28
def test_a_published_port_is_there_in_both_families(engine: Engine, dual: str, outside: Network) -> None:
    run(engine, "one", "--network", dual, "-p", "18091:80")
    assert engine.ok("port", "one").splitlines() == ["80/tcp -> 0.0.0.0:18091", "80/tcp -> [::]:18091"]
    assert "hello" in fetch(engine.network, "127.0.0.1", 18091)
    assert "hello" in fetch(outside, "2001:db8::1", 18091)
    gateway = settings(engine, "one", dual)["IPv6Gateway"]
    assert "hello" in fetch(engine.network, gateway, 18091)
    assert fetch(outside, settings(engine, "one", dual)["GlobalIPv6Address"], 80, 1) == ""
    busy = engine.fails("run", "--rm", "--network", dual, "-p", "[::]:18091:80", "busybox", "true", code=125)
    assert "Bind for [::]:18091 failed: port is already allocated" in busy
    engine.ok("rm", "-f", "one")
    with pytest.raises(OSError, match="refused"):
        engine.network.connect(18091, gateway)


def test_a_published_port_is_there_on_the_loopback(engine: Engine, dual: str) -> None:
    run(engine, "one", "--network", dual, "-p", "18097:80", "-p", "[::1]:18098:80")
    for port in (18097, 18098):
        assert "hello" in fetch(engine.network, "::1", port)
    assert "hello" in fetch(engine.network, "127.0.0.1", 18097)
    with pytest.raises(OSError, match="refused"):
        engine.network.connect(18098, settings(engine, "one", dual)["IPv6Gateway"])
    engine.ok("rm", "-f", "one")
    with pytest.raises(OSError, match="refused"):
        engine.network.connect(18097, "::1")


@pytest.mark.docker28
def test_a_container_without_ipv6_is_reached_by_it(engine: Engine, outside: Network) -> None:
    run(engine, "one", "-p", "18110:80")
    assert engine.ok("port", "one").splitlines() == ["80/tcp -> 0.0.0.0:18110", "80/tcp -> [::]:18110"]
    assert "0.0.0.0:18110->80/tcp, [::]:18110->80/tcp" in engine.ok("ps", "--format", "{{.Ports}}")
    for network, host in ((engine.network, "::1"), (outside, "2001:db8::1"), (engine.network, "127.0.0.1")):
        assert "hello" in fetch(network, host, 18110)
    for _ in range(3):
        engine.ok("restart", "-t", "0", "one")
        assert "hello" in fetch(engine.network, "::1", 18110)


def test_without_the_proxy_it_is_not(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine("--userland-proxy=false")
    run(engine, "one", "-p", "18111:80")
    assert engine.ok("port", "one") == "80/tcp -> 0.0.0.0:18111"
    with pytest.raises(OSError, match="refused"):
        engine.network.connect(18111, "::1")


def test_datagrams_are_passed_on_from_the_loopback(engine: Engine, dual: str) -> None:
    engine.ok(
        "run", "-d", "--name", "echo", "--network", dual, "-p", "18099:53/udp", "busybox", "sleep", "600"
    )
    (found,) = json.loads(engine.ok("inspect", "echo"))
    server = (
        "import socket\ns = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\ns.bind(('::', 53))\n"
        "print('ready', flush=True)\ndata, peer = s.recvfrom(100)\ns.sendto(data, peer)"
    )
    client = (
        "import socket\ns = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\ns.settimeout(20)\n"
        "s.connect(('::1', 18099))\ns.send(b'hello')\nprint(s.recv(100).decode())"
    )
    inside = ["nsenter", f"--net=/proc/{found['State']['Pid']}/ns/net", "python3", "-c", server]
    with subprocess.Popen(inside, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            command = [*engine.network.enter, "python3", "-c", client]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.stdout == "hello\n", done.stderr
        finally:
            process.kill()


def test_routed_ports_are_the_containers_own(engine: Engine, outside: Network) -> None:
    engine.ok(
        "network", "create", "--ipv6", "--subnet", "fd00:90::/64",
        "-o", "com.docker.network.bridge.gateway_mode_ipv6=routed", "routed",
    )  # fmt: skip
    try:
        run(engine, "open", "--network", "routed", "-p", "18092:80")
        run(engine, "closed", "--network", "routed")
        assert "hello" in fetch(outside, settings(engine, "open", "routed")["GlobalIPv6Address"])
        assert fetch(outside, settings(engine, "closed", "routed")["GlobalIPv6Address"], 80, 1) == ""
        assert "hello" in fetch(engine.network, "127.0.0.1", 18092), "IPv4 is translated still"
        bindings = json.loads(engine.ok("inspect", "open"))[0]["NetworkSettings"]["Ports"]["80/tcp"]
        assert {"HostIp": "::", "HostPort": ""} in bindings
    finally:
        engine.docker("rm", "-f", "open", "closed")
        engine.ok("network", "rm", "routed")


def test_unprotected_containers_are_reached_at_every_port(engine: Engine, outside: Network) -> None:
    engine.ok(
        "network", "create", "--ipv6", "--subnet", "fd00:91::/64",
        "-o", "com.docker.network.bridge.gateway_mode_ipv6=nat-unprotected", "bare",
    )  # fmt: skip
    try:
        run(engine, "one", "--network", "bare")
        assert "hello" in fetch(outside, settings(engine, "one", "bare")["GlobalIPv6Address"])
    finally:
        engine.docker("rm", "-f", "one")
        engine.ok("network", "rm", "bare")


def test_an_isolated_network_has_no_place_on_the_host(engine: Engine) -> None:
    mode = "com.docker.network.bridge.gateway_mode_ipv{}=isolated"
    refused = engine.fails("network", "create", "-o", mode.format(4), "x")
    assert "gateway mode 'isolated' can only be used for an internal network" in refused
    engine.ok(
        "network", "create", "--internal", "--ipv6", "-o", mode.format(4), "-o", mode.format(6),
        "-o", "com.docker.network.bridge.name=mobyiso0", "iso",
    )  # fmt: skip
    try:
        run(engine, "one", "--network", "iso")
        run(engine, "two", "--network", "iso")
        assert reaches(engine, "one", "two")
        command = [*engine.network.enter, "ip", "-o", "address", "show", "dev", "mobyiso0", "scope", "global"]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""
        assert settings(engine, "one", "iso")["Gateway"] == ""
    finally:
        engine.docker("rm", "-f", "one", "two")
        engine.ok("network", "rm", "iso")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ipv6", "--subnet", "fd00::1/64"], "invalid subnet fd00::1/64: it should be fd00::/64"),
        (
            ["--ipv6", "--subnet", "fd00:9::/64", "--subnet", "fd00:8::/64"],
            "doesn't support multiple subnets",
        ),
        (["-o", "com.docker.network.bridge.gateway_mode_ipv4=odd"], "unknown gateway mode odd"),
        (["-o", "com.docker.network.bridge.enable_icc=perhaps"], 'parsing "perhaps": invalid syntax'),
        (["--ipv6", "--subnet", "ff02::/64"], "multicast subnet"),
        (["--ipv6", "--subnet", "fe80::/80"], "clashes with the Link-Local prefix 'fe80::/64'"),
    ],
)
def test_what_is_refused(engine: Engine, arguments: list[str], words: str) -> None:
    assert words in engine.fails("network", "create", *arguments, "x")
    assert engine.ok("network", "ls", "-q", "--filter", "name=^x$") == ""


@pytest.mark.docker28
def test_a_network_more_brings_the_way_out(engine: Engine, dual: str) -> None:
    run(engine, "one", "-p", "18093:80")
    assert engine.ok("exec", "one", "ip", "-6", "route") == ""
    engine.ok("network", "connect", dual, "one")
    assert "default via fd00:88::1 dev eth1" in engine.ok("exec", "one", "ip", "-6", "route")
    assert "default via" in engine.ok("exec", "one", "ip", "route").splitlines()[0]
    assert "[::]:18093" in engine.ok("port", "one")
    assert "hello" in fetch(engine.network, "127.0.0.1", 18093)
    assert "hello" in fetch(engine.network, "fd00:88::1", 18093)
    engine.ok("network", "disconnect", dual, "one")
    for host in ("127.0.0.1", "::1"):
        assert "hello" in fetch(engine.network, host, 18093)


def test_the_default_network_and_a_crash(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine("--ipv6", "--fixed-cidr-v6", "fd00:99::/64", "--default-address-pool", "base=10.77.0.0/16,size=24")  # fmt: skip
    engine.ok("network", "create", "--ipv6", "lasting")
    run(engine, "one", "-p", "18094:80")
    run(engine, "two", "--network", "lasting", "-p", "18095:80")
    shown = settings(engine, "one", "bridge")
    assert shown["GlobalIPv6Address"] == "fd00:99::2"
    assert shown["IPAddress"].startswith("10.77.0.")
    before = settings(engine, "two", "lasting")
    engine.kill()
    engine.start()
    assert settings(engine, "two", "lasting") == before
    assert "hello" in fetch(engine.network, "fd00:99::1", 18094)
    assert "hello" in fetch(engine.network, "::1", 18094)
    assert "hello" in fetch(engine.network, before["IPv6Gateway"], 18095)
    run(engine, "three", "--network", "lasting")
    assert settings(engine, "three", "lasting")["GlobalIPv6Address"] != before["GlobalIPv6Address"]
    assert reaches(engine, "three", before["GlobalIPv6Address"])
    engine.ok("rm", "-f", "one", "two", "three")
    engine.ok("network", "rm", "lasting")


def test_links_follow_both_addresses(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine("--ipv6", "--fixed-cidr-v6", "fd00:98::/64")
    run(engine, "db")
    run(engine, "web", "--link", "db:store")
    for _ in range(2):
        place = settings(engine, "db", "bridge")
        hosts = engine.ok("exec", "web", "cat", "/etc/hosts")
        for address in (place["IPAddress"], place["GlobalIPv6Address"]):
            assert f"{address}\tstore" in hosts
        engine.ok("stop", "-t", "0", "db")
        run(engine, "between")
        engine.ok("start", "db")
        engine.ok("rm", "-f", "between")
        assert settings(engine, "db", "bridge")["IPAddress"] != place["IPAddress"]
