"""The name server that containers on networks of a user's own have: what it says, whom it asks, whom it does not answer."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.dns import AAAA, MX, PTR, TXT, ask, encoded, name_server, question, reply
from tests.clients.engine import Engine, Network, within

NET = "net-dns"
SERVERS = ("10.99.0.11", "10.99.0.12", "10.99.0.13")


@pytest.fixture
def net(engine: Engine) -> Iterator[str]:
    """A network of both families."""
    engine.ok("network", "create", "--ipv6", "--subnet", "10.77.0.0/24", "--subnet", "fd00:77::/64", NET)
    yield NET
    engine.docker_quietly("ps", "--all", "--quiet", then=("rm", "--force", "--volumes"))
    engine.ok("network", "rm", NET)


@pytest.fixture
def host(network: Network) -> Iterator[Network]:
    """The engine's host, with addresses for name servers."""
    for server in SERVERS:
        subprocess.run([*network.enter, "ip", "address", "add", f"{server}/32", "dev", "lo"], check=True)
    yield network
    for server in SERVERS:
        subprocess.run([*network.enter, "ip", "address", "delete", f"{server}/32", "dev", "lo"], check=True)


def run(engine: Engine, name: str, *options: str) -> Path:
    """A container that waits; its network namespace."""
    engine.ok("run", "-d", "--name", name, "--network", NET, *options, "busybox", "sleep", "600")
    return Path(f"/proc/{inspect(engine, name)['State']['Pid']}/ns/net")


def inspect(engine: Engine, name: str) -> Any:
    return json.loads(engine.ok("inspect", name))[0]


def test_names_aliases_and_ids(engine: Engine, net: str) -> None:
    run(engine, "web", "--network-alias", "Site", "--hostname", "inner")
    place = inspect(engine, "web")["NetworkSettings"]["Networks"][net]
    client = run(engine, "client")
    container = inspect(engine, "web")["Id"]
    for name in ("web", "WEB", "site", "inner", container[:12], f"web.{net}", f"site.{net}"):
        found = ask(client, question(name))
        assert (found.code, found.addresses) == (0, [place["IPAddress"]]), name
        assert ask(client, question(name, AAAA)).addresses == [place["GlobalIPv6Address"]]
    assert {ttl for _, ttl, _ in ask(client, question("web")).records} == {600}
    assert ask(client, question("web"), stream=True).addresses == [place["IPAddress"]]
    mail = ask(client, question("web", MX))
    assert (mail.code, mail.records) == (0, ())


def test_addresses_have_names(engine: Engine, net: str) -> None:
    client = run(engine, "web")
    place = inspect(engine, "web")["NetworkSettings"]["Networks"][net]
    turned = ".".join(reversed(place["IPAddress"].split(".")))
    nibbles = socket.inet_pton(socket.AF_INET6, place["GlobalIPv6Address"]).hex()
    for name in (f"{turned}.in-addr.arpa", f"{'.'.join(reversed(nibbles))}.ip6.arpa"):
        assert [data for _, _, data in ask(client, question(name, PTR)).records] == [encoded(f"web.{net}")]


def test_several_of_one_name_take_turns(engine: Engine, net: str) -> None:
    for number in range(3):
        run(engine, f"one-{number}", "--network-alias", "pool")
    client = run(engine, "client")
    found = [ask(client, question("pool")).addresses for _ in range(40)]
    assert {len(set(addresses)) for addresses in found} == {3}
    assert len({addresses[0] for addresses in found}) == 3
    engine.ok("rm", "--force", "one-0")
    assert len(ask(client, question("pool")).addresses) == 2


def test_what_is_no_question_is_refused(engine: Engine, net: str) -> None:
    client = run(engine, "client")
    good = question("client")
    assert ask(client, good[:2] + b"\x28\0" + good[4:]).code == 4
    assert ask(client, good[:-3]).code == 1
    assert ask(client, good[:4] + b"\0\2" + good[6:]).code == 1
    with pytest.raises(TimeoutError):
        ask(client, good[:2] + b"\x81\x80" + good[4:], limit=0.3)
    with pytest.raises(TimeoutError):
        ask(client, b"x", limit=0.3)
    assert ask(client, good).code == 0


def test_others_are_asked_in_turn(engine: Engine, net: str, host: Network) -> None:
    options = [word for server in SERVERS for word in ("--dns", server)]
    client = run(engine, "client", *options)

    def junk(query: bytes, stream: bool) -> bytes | None:
        return reply(query, code=5) if b"refused" in query else reply(query, code=2)

    def good(query: bytes, stream: bool) -> bytes | None:
        if b"long" in query and not stream:
            return reply(query, flags=0x0200)
        return reply(query, code=3) if b"nobody" in query else reply(query, "192.0.2.99")

    # The first server is not there at all.
    with (
        name_server(host.path, SERVERS[1], junk) as first,
        name_server(host.path, SERVERS[2], good) as second,
    ):
        for name in ("refused.example", "failed.example"):
            found = ask(client, question(name, number=99))
            assert (found.number, found.code, found.addresses) == (99, 0, ["192.0.2.99"])
        assert ask(client, question("nobody.example")).code == 3
        long = ask(client, question("long.example"))
        assert (long.truncated, long.addresses) == (True, [])
        assert ask(client, question("long.example"), stream=True).addresses == ["192.0.2.99"]
        assert len(first) == len(second) == 5
        # A server that the user names is asked from where the container is.
        own = inspect(engine, "client")["NetworkSettings"]["Networks"][net]["IPAddress"]
        assert {client for _, client in second} == {own}
        ask(client, question("client", TXT))
        assert len(second) == 6
    assert ask(client, question("late.example")).code == 2


def test_answers_to_others_questions_are_none(engine: Engine, net: str, host: Network) -> None:
    client = run(engine, "client", "--dns", SERVERS[0], "--dns", SERVERS[1])

    def lying(query: bytes, stream: bool) -> bytes | None:
        if b"late" in query:
            return None
        return reply(question("other.example", number=7), "192.0.2.66") if b"lie" in query else b"\0"

    with (
        name_server(host.path, SERVERS[0], lying) as asked,
        name_server(host.path, SERVERS[1], lambda query, _: reply(query, "192.0.2.99")),
    ):
        assert ask(client, question("lie.example")).addresses == ["192.0.2.99"]
        assert len(asked) == 1
        assert ask(client, question("client")).code == 0


def test_names_without_a_dot_stay_here_if_the_user_says_so(engine: Engine, net: str, host: Network) -> None:
    client = run(engine, "client", "--dns", SERVERS[0], "--dns-opt", "ndots:1", "--dns-search", "example")
    plain = run(engine, "plain", "--dns", SERVERS[0], "--dns-search", "example")
    with name_server(host.path, SERVERS[0], lambda query, _: reply(query, "192.0.2.99")) as asked:
        found = ask(client, question("elsewhere"))
        assert (found.code, found.records, asked) == (0, (), [])
        assert ask(client, question("elsewhere.example")).addresses == ["192.0.2.99"]
        assert ask(plain, question("elsewhere")).addresses == ["192.0.2.99"]
        asked.clear()
        assert "192.0.2.99" in engine.ok("exec", "client", "nslookup", "elsewhere")
        assert all(b"\x09elsewhere\x07example\0" in query for query, _ in asked)
    files = {
        name: engine.ok("exec", name, "cat", "/etc/resolv.conf").splitlines() for name in ("client", "plain")
    }
    assert files["client"] == ["nameserver 127.0.0.11", "search example", "options ndots:1"]
    assert files["plain"][-1] == "options ndots:0"


def test_without_a_way_out_only_the_network_is_asked(engine: Engine, host: Network) -> None:
    engine.ok("network", "create", "--internal", "--subnet", "10.77.0.0/24", NET)
    try:
        server = run(engine, "server", "--ip", "10.77.0.53")
        alone = run(engine, "alone")
        client = run(engine, "client", "--dns", "10.77.0.53")
        with name_server(server, "10.77.0.53", lambda query, _: reply(query, "192.0.2.99")) as asked:
            assert ask(client, question("outside.example")).addresses == ["192.0.2.99"]
            assert ask(alone, question("outside.example")).code == 2
            assert ask(alone, question("server")).addresses == ["10.77.0.53"]
            assert len(asked) == 1
    finally:
        engine.ok("rm", "--force", "server", "alone", "client")
        engine.ok("network", "rm", NET)


def test_outsiders_get_no_answer(engine: Engine, net: str, network: Network) -> None:
    client = run(engine, "client")
    run(engine, "other")
    own = inspect(engine, "client")["NetworkSettings"]["Networks"][net]["IPAddress"]
    table = within(client, lambda: Path("/proc/thread-self/net/udp").read_text())
    (port,) = [
        int(line.split()[1].partition(":")[2], 16) for line in table.splitlines()[1:] if "0B00007F:" in line
    ]

    def outside() -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.3)
            asking.connect((own, port))
            asking.send(question("client"))
            return asking.recv(512)

    for namespace in (network.path, Path(f"/proc/{inspect(engine, 'other')['State']['Pid']}/ns/net")):
        with pytest.raises((ConnectionRefusedError, TimeoutError)):
            within(namespace, outside)


def test_a_flood_is_answered_or_refused_and_the_engine_stays_well(
    engine: Engine, net: str, host: Network
) -> None:
    client = run(engine, "client", "--dns", SERVERS[0])
    with name_server(host.path, SERVERS[0], lambda query, _: None):

        def flood() -> set[int]:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                asking.settimeout(2)
                asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
                asking.connect(("127.0.0.11", 53))
                for number in range(4000):
                    asking.send(question("slow.example", number=number))
                    if number % 50 == 0:
                        engine.raw(b"GET /_ping HTTP/1.0\r\n\r\n")
                return {struct.unpack_from(">H", asking.recv(512), 2)[0] & 0xF for _ in range(10)}

        assert within(client, flood) == {5}
        assert ask(client, question("client")).code == 0
