"""Bridge, host and none; published ports; the files that give names."""

from __future__ import annotations

import contextlib
import json
import time

import pytest

from tests.clients.engine import Engine

SERVER = "while :; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello' | nc -l -p 80 > /dev/null; done"


def fetch(engine: Engine, port: int, host: str = "127.0.0.1") -> str:
    """What the server behind a published port answers; it needs a moment after its start."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), engine.network.connect(port, host) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            if text := connection.recv(1000):
                return text.decode()
        time.sleep(0.05)
    return ""


def fetch_inside(engine: Engine, host: str, port: int) -> str:
    """What a server answers to another container; by `nc`, since Debian's static `wget` cannot look names up."""
    script = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {host} {port}"
    return engine.ok("run", "--rm", "busybox", "sh", "-c", script).split()[-1]


def test_none_has_only_a_loopback(engine: Engine) -> None:
    out = engine.ok("run", "--rm", "--network", "none", "busybox", "ls", "/sys/class/net")
    assert out.split() == ["lo"]


def test_host_shares_the_hosts_devices_and_name(engine: Engine) -> None:
    out = engine.ok("run", "--rm", "--network", "host", "busybox", "ip", "-o", "address", "show", "dev", "lo")
    assert "10.99.0.1" in out


def test_a_container_on_the_bridge_has_address_route_and_names(engine: Engine) -> None:
    out = engine.ok(
        "run",
        "--rm",
        "-h",
        "me",
        "busybox",
        "sh",
        "-c",
        "ip -o -4 address show eth0; ip route; cat /etc/hosts; hostname",
    )
    assert " eth0 " in out
    assert "default via " in out
    assert out.endswith("\nme")
    assert "\tme" in out
    assert "127.0.0.1\tlocalhost" in out


def test_inspect_names_the_address_that_the_container_has(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "addressed", "busybox", "sleep", "60")
    (found,) = json.loads(engine.ok("inspect", "addressed"))
    bridge = found["NetworkSettings"]["Networks"]["bridge"]
    # exec needs its own routes, so the neighbour is asked instead.
    assert (
        engine.docker("run", "--rm", "busybox", "ping", "-c", "1", "-W", "5", bridge["IPAddress"]).code == 0
    )
    assert bridge["Gateway"]
    assert bridge["MacAddress"]


def test_two_containers_reach_each_other_and_the_host(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "web", "busybox", "sh", "-c", SERVER)
    address = engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "web")
    assert "hello" in fetch(engine, 80, address)
    assert fetch_inside(engine, address, 80) == "hello"


def test_a_published_port_answers_and_goes_with_the_container(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "web", "-p", "18080:80", "busybox", "sh", "-c", SERVER)
    assert "hello" in fetch(engine, 18080)
    assert "18080" in engine.ok("port", "web", "80")
    assert "0.0.0.0:18080->80/tcp" in engine.ok("ps", "--format", "{{.Ports}}")
    engine.ok("rm", "-f", "web")
    with pytest.raises(OSError, match="refused"):
        engine.network.connect(18080)


def test_a_port_on_one_address_is_not_on_others(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "web", "-p", "127.0.0.1:18081:80", "busybox", "sh", "-c", SERVER)
    assert "hello" in fetch(engine, 18081)
    with pytest.raises(OSError, match="refused"):
        engine.network.connect(18081, "10.99.0.1")


def test_a_free_port_is_chosen_and_told(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "web", "-p", "80", "busybox", "sh", "-c", SERVER)
    port = int(engine.ok("port", "web", "80").split("\n")[0].rpartition(":")[2])
    assert "hello" in fetch(engine, port)


def test_a_container_reaches_a_published_port_of_its_own(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "web", "-p", "18082:80", "busybox", "sh", "-c", SERVER)
    gateway = engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}", "web")
    assert fetch_inside(engine, gateway, 18082) == "hello"


def test_extra_hosts_and_resolvers_are_written(engine: Engine) -> None:
    out = engine.ok(
        "run", "--rm", "--add-host", "other:10.1.2.3", "--dns", "10.9.8.7", "--dns-search", "example.test", "busybox",
        "cat", "/etc/hosts", "/etc/resolv.conf",
    )  # fmt: skip
    assert "10.1.2.3\tother" in out
    assert "nameserver 10.9.8.7" in out
    assert "search example.test" in out


def test_a_network_of_another_container_is_joined(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "owner", "busybox", "sh", "-c", SERVER)
    assert "hello" in fetch(
        engine, 80, engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "owner")
    )
    out = engine.ok(
        "run", "--rm", "--network", "container:owner", "busybox", "wget", "-q", "-O", "-", "http://127.0.0.1/"
    )
    assert out == "hello"


def test_the_known_networks_are_listed(engine: Engine) -> None:
    assert set(engine.ok("network", "ls", "--format", "{{.Name}}").split()) >= {"bridge", "host", "none"}
