"""What is heard of networks, and what stays true while containers come, go, change names and networks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine


@pytest.fixture
def nets(engine: Engine) -> Iterator[tuple[str, str]]:
    """Two networks."""
    for name in ("net-a", "net-b"):
        engine.ok("network", "create", name)
    yield "net-a", "net-b"
    engine.docker_quietly("ps", "--all", "--quiet", then=("rm", "--force"))
    for name in ("net-a", "net-b"):
        engine.ok("network", "rm", name)


def run(engine: Engine, name: str, *options: str) -> str:
    """A container that waits."""
    return engine.ok("run", "-d", "--name", name, *options, "busybox", "sleep", "600")


def inside(engine: Engine, name: str, *command: str) -> str:
    """What a command in it prints."""
    return engine.ok("exec", name, *command)


def reaches(engine: Engine, name: str, target: str) -> bool:
    """Does a packet come back?"""
    return engine.docker("exec", name, "ping", "-c", "1", "-W", "1", target).code == 0


def place(engine: Engine, name: str, network: str) -> Any:
    """Where it is on a network."""
    return json.loads(engine.ok("inspect", name))[0]["NetworkSettings"]["Networks"][network]


def told(engine: Engine, since: float, *filters: str) -> list[dict[str, Any]]:
    """The events of networks since a moment."""
    arguments = [word for text in ("type=network", *filters) for word in ("--filter", text)]
    out = engine.ok(
        "events",
        "--since",
        f"{since:.3f}",
        "--until",
        f"{time.time():.3f}",
        "--format",
        "{{json .}}",
        *arguments,
    )
    return [json.loads(line) for line in out.splitlines()]


def test_events_of_a_networks_life(engine: Engine) -> None:
    since = time.time()
    network = engine.ok("network", "create", "heard")
    container = run(engine, "one", "--network", "heard")
    engine.ok("network", "disconnect", "heard", "one")
    engine.ok("network", "connect", "heard", "one")
    engine.ok("stop", "-t", "0", "one")
    engine.ok("network", "disconnect", "heard", "one")
    engine.ok("rm", "one")
    engine.ok("network", "rm", "heard")
    found = told(engine, since)
    assert [event["Action"] for event in found] == [
        "create", "connect", "disconnect", "connect", "disconnect", "destroy",
    ]  # fmt: skip
    assert {event["Actor"]["ID"] for event in found} == {network}
    assert found[0]["Actor"]["Attributes"] == {"name": "heard", "type": "bridge"}
    assert found[1]["Actor"]["Attributes"] == {"container": container, "name": "heard", "type": "bridge"}


@pytest.mark.docker28
def test_events_of_every_network_of_a_container(engine: Engine, nets: tuple[str, str]) -> None:
    since = time.time()
    engine.ok("run", "--rm", "--network", "net-a", "--network", "net-b", "busybox", "true")
    engine.ok("run", "--rm", "--network", "none", "busybox", "true")
    found = [(event["Action"], event["Actor"]["Attributes"]["name"]) for event in told(engine, since)]
    assert sorted(found) == [
        ("connect", "net-a"), ("connect", "net-b"), ("connect", "none"),
        ("disconnect", "net-a"), ("disconnect", "net-b"), ("disconnect", "none"),
    ]  # fmt: skip


def test_a_failed_start_is_taken_back(engine: Engine, nets: tuple[str, str]) -> None:
    since = time.time()
    engine.fails("run", "--name", "broken", "--network", "net-a", "busybox", "/nothing/there", code=127)
    assert [event["Action"] for event in told(engine, since)] == ["connect", "disconnect"]


def test_names_are_found_from_the_first_connection_on(engine: Engine, nets: tuple[str, str]) -> None:
    run(engine, "one")
    run(engine, "two", "--network", "net-a")
    before = inside(engine, "one", "cat", "/etc/resolv.conf")
    assert "127.0.0.11" not in before
    engine.ok("network", "connect", "net-a", "one")
    assert "nameserver 127.0.0.11" in inside(engine, "one", "cat", "/etc/resolv.conf")
    assert reaches(engine, "one", "two")
    assert place(engine, "one", "net-a")["IPAddress"] in inside(engine, "one", "cat", "/etc/hosts")
    engine.ok("network", "disconnect", "net-a", "one")
    assert inside(engine, "one", "cat", "/etc/resolv.conf") == before


def test_files_that_were_changed_inside_stay(engine: Engine, nets: tuple[str, str]) -> None:
    run(engine, "one")
    inside(
        engine,
        "one",
        "sh",
        "-c",
        "echo nameserver 10.1.1.1 > /etc/resolv.conf; echo 10.2.2.2 mine >> /etc/hosts",
    )
    engine.ok("network", "connect", "net-a", "one")
    assert inside(engine, "one", "cat", "/etc/resolv.conf") == "nameserver 10.1.1.1"
    assert "10.2.2.2 mine" in inside(engine, "one", "cat", "/etc/hosts")


@pytest.mark.docker28
def test_a_hardware_address_of_each_network_lasts(engine: Engine, nets: tuple[str, str]) -> None:
    first, second = "02:42:aa:00:00:01", "02:42:aa:00:00:02"
    engine.ok(
        "create", "--name", "one", "--network", f"name=net-a,mac-address={first}",
        "--network", f"name=net-b,mac-address={second}", "busybox", "sleep", "600",
    )  # fmt: skip
    engine.ok("start", "one")
    for _ in range(2):
        assert place(engine, "one", "net-a")["MacAddress"] == first
        assert place(engine, "one", "net-b")["MacAddress"] == second
        assert {first, second} <= set(inside(engine, "one", "ip", "link").split())
        engine.ok("restart", "-t", "0", "one")


def test_a_new_name_is_found_and_the_old_one_not(engine: Engine, nets: tuple[str, str]) -> None:
    run(engine, "one", "--network", "net-a", "--network-alias", "also")
    run(engine, "two", "--network", "net-a")
    engine.ok("rename", "one", "uno")
    assert reaches(engine, "two", "uno")
    assert reaches(engine, "two", "also")
    assert not reaches(engine, "two", "one")
    assert "name = uno.net-a" in inside(engine, "two", "nslookup", place(engine, "uno", "net-a")["IPAddress"])
    assert "uno" in place(engine, "uno", "net-a")["DNSNames"]
    engine.ok("restart", "-t", "0", "uno")
    assert reaches(engine, "two", "uno")


@pytest.mark.docker28
def test_the_way_out_goes_where_the_priority_says(engine: Engine, nets: tuple[str, str]) -> None:
    run(engine, "one", "--network", "name=net-a", "--network", "name=net-b,gw-priority=5")
    gateway = place(engine, "one", "net-b")["Gateway"]
    assert f"default via {gateway}" in inside(engine, "one", "ip", "route")
    engine.ok("network", "disconnect", "net-b", "one")
    assert f"default via {place(engine, 'one', 'net-a')['Gateway']}" in inside(engine, "one", "ip", "route")
    engine.ok("network", "connect", "--gw-priority", "9", "net-b", "one")
    assert f"default via {gateway}" in inside(engine, "one", "ip", "route")
    assert place(engine, "one", "net-b")["GwPriority"] == 9
    engine.ok("restart", "-t", "0", "one")
    assert f"default via {gateway}" in inside(engine, "one", "ip", "route")


@pytest.mark.docker28
def test_published_ports_follow_the_way_out(engine: Engine, nets: tuple[str, str]) -> None:
    server = "while :; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello' | nc -l -p 80 > /dev/null; done"
    engine.ok(
        "run", "-d", "--name", "one", "--network", "net-a", "-p", "18096:80", "busybox", "sh", "-c", server
    )
    for command in (["connect", "--gw-priority", "5", "net-b"], ["disconnect", "net-a"]):
        engine.ok("network", *command, "one")
        assert engine.network.get(18096) == "hello"
        assert "0.0.0.0:18096" in engine.ok("port", "one", "80").splitlines()


def test_options_of_an_endpoint(engine: Engine, nets: tuple[str, str]) -> None:
    setting = "com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1"
    run(engine, "one")
    engine.ok(
        "network", "connect", "--driver-opt", setting,
        "--driver-opt", "com.docker.network.endpoint.ifname=up0", "net-a", "one",
    )  # fmt: skip
    assert inside(engine, "one", "cat", "/proc/sys/net/ipv4/conf/up0/log_martians") == "1"
    engine.ok("restart", "-t", "0", "one")
    assert inside(engine, "one", "cat", "/proc/sys/net/ipv4/conf/up0/log_martians") == "1"
    wrong = "com.docker.network.endpoint.sysctls=net.ipv4.conf.eth0.log_martians=1"
    refused = engine.fails("network", "connect", "--driver-opt", wrong, "net-b", "one")
    assert "unrecognised network interface sysctl" in refused


def test_links_are_names_of_ones_own(engine: Engine, nets: tuple[str, str]) -> None:
    run(engine, "db", "--network", "net-a")
    run(engine, "web", "--network", "net-a", "--link", "db:database")
    run(engine, "other", "--network", "net-a")
    assert reaches(engine, "web", "database")
    assert not reaches(engine, "other", "database")
    engine.ok("network", "disconnect", "net-a", "other")
    engine.ok("network", "connect", "--link", "db:store", "net-a", "other")
    assert reaches(engine, "other", "store")


@pytest.mark.skipif(KIND != "mobyd", reason="dockerd 20.10 says it otherwise")
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"IPAMConfig": {"IPv4Address": "10.255.0.1"}},
            "no configured subnet contains IP address 10.255.0.1",
        ),
        ({"IPAMConfig": {"IPv4Address": "x"}}, "invalid IPv4 address: x"),
        ({"IPAMConfig": {"IPv6Address": "10.0.0.1"}}, "invalid IPv6 address: 10.0.0.1"),
        ({"IPAMConfig": {"LinkLocalIPs": ["10.0.0.1"]}}, "invalid link-local IP address: 10.0.0.1"),
        ({"MacAddress": "02:42"}, "invalid MAC address: 02:42"),
        ({"Links": ["a:b:c"]}, "bad format for links: a:b:c"),
        (
            {"DriverOpts": {"com.docker.network.nonsense": "1"}},
            "endpoint option com.docker.network.nonsense is not supported yet",
        ),
    ],
)
def test_what_an_endpoint_cannot_be(
    engine: Engine, nets: tuple[str, str], settings: dict[str, Any], words: str
) -> None:
    run(engine, "one")
    before = engine.ok("inspect", "one")
    with engine.client() as client:
        answer = client.api._post_json(
            client.api.base_url + "/v1.54/networks/net-a/connect",
            data={"Container": "one", "EndpointConfig": settings},
        )
        assert answer.status_code in (400, 501)
        assert words in answer.json()["message"]
    assert engine.ok("inspect", "one") == before
