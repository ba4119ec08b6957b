"""A daemon killed while containers change networks and publish ports: state and kernel agree afterwards."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine

pytestmark = pytest.mark.skipif(KIND != "mobyd", reason="dockerd stops its containers")

NETWORKS = ("crash-a", "crash-b", "crash-c")
ROUNDS = 5
_PORTS = itertools.count(18200)


def act(engine: Engine, stop: threading.Event, seed: int) -> None:
    """Changes networks of a container of its own, publishes and withdraws ports, until it cannot any more."""
    chance = random.Random(seed)
    name = f"mover-{seed}"
    while not stop.is_set():
        network = chance.choice(NETWORKS)
        match chance.randrange(6):
            case 0 | 1:
                arguments = ["network", "connect", "--gw-priority", str(chance.randrange(3)), network, name]
            case 2 | 3:
                arguments = ["network", "disconnect", network, name]
            case 4:
                arguments = ["run", "-d", "--name", f"brief-{seed}", "--network", network, "-p", f"{next(_PORTS)}:80", "busybox", "sleep", "600"]  # fmt: skip
            case _:
                arguments = ["rm", "-f", f"brief-{seed}"]
        with contextlib.suppress(subprocess.TimeoutExpired, OSError):
            engine.docker(*arguments, timeout=20)


def containers(engine: Engine) -> list[Any]:
    """Every container that runs."""
    names = engine.ok("ps", "-q").split()
    return json.loads(engine.ok("inspect", *names)) if names else []


def inside(engine: Engine, container: Any) -> dict[str, set[str]]:
    """The addresses in a container's namespace, by hardware address."""
    command = ["nsenter", f"--net=/proc/{container['State']['Pid']}/ns/net", "ip", "-j", "address"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {
        link["address"]: {one["local"] for one in link["addr_info"] if one["scope"] == "global"}
        for link in found
        if link["ifname"] != "lo"
    }


def check(engine: Engine) -> None:
    """Records, networks, kernel and packet filter say the same."""
    taken: Counter[str] = Counter()
    published: set[tuple[str, str]] = set()
    running = containers(engine)
    on: dict[str, dict[str, Any]] = {}
    for network in json.loads(engine.ok("network", "inspect", *NETWORKS, "bridge")):
        on[network["Name"]] = network["Containers"]
    for container in running:
        places = container["NetworkSettings"]["Networks"]
        wanted = {
            place["MacAddress"]: {place["IPAddress"], place["GlobalIPv6Address"]} - {""}
            for place in places.values()
        }
        assert inside(engine, container) == wanted, container["Name"]
        for name, place in places.items():
            shown = on[name].pop(container["Id"])
            assert shown["EndpointID"] == place["EndpointID"]
            assert shown["IPv4Address"].partition("/")[0] == place["IPAddress"]
            taken.update(wanted[place["MacAddress"]])
        routes = ["nsenter", f"--net=/proc/{container['State']['Pid']}/ns/net", "ip", "-o", "route"]
        out = subprocess.run(routes, capture_output=True, text=True, check=True).stdout
        assert out.count("default") == (1 if places else 0), (container["Name"], out)
        for bindings in (container["NetworkSettings"]["Ports"] or {}).values():
            published |= {(binding["HostIp"], binding["HostPort"]) for binding in bindings or ()}
    assert not [address for address, times in taken.items() if times > 1]
    assert not any(on.values()), on
    rules = subprocess.run(
        [*engine.network.enter, "nft", "list", "ruleset"], capture_output=True, text=True, check=True
    ).stdout
    keys = re.findall(r"tcp \. (\d+) :", rules)
    assert set(keys) == {port for _, port in published}


def test_state_and_kernel_agree_after_crashes(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    for number, name in enumerate(NETWORKS):
        engine.ok(
            "network", "create", *(["--ipv6"] if number else []), "--subnet", f"10.9{number}.0.0/28", name
        )
    for seed in range(3):
        engine.ok("run", "-d", "--name", f"mover-{seed}", "busybox", "sleep", "600")
    moment = random.Random(7)
    for _ in range(ROUNDS):
        stop = threading.Event()
        actors = [threading.Thread(target=act, args=(engine, stop, seed)) for seed in range(3)]
        for actor in actors:
            actor.start()
        time.sleep(0.5 + moment.random() * 1.5)
        engine.kill()
        stop.set()
        engine.start()
        for actor in actors:
            actor.join()  # What was asked while no daemon ran is answered now.
        check(engine)
    for name in NETWORKS:
        for seed in range(3):
            engine.docker("network", "connect", name, f"mover-{seed}")
    check(engine)
    engine.docker_quietly("ps", "--all", "--quiet", then=("rm", "--force"))
    engine.ok("network", "rm", *NETWORKS)
    assert engine.stop() == 0
    deadline = time.monotonic() + 20
    while (left := engine.leftovers()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def test_networks_made_and_removed_over_a_crash(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    numbers = itertools.count()

    def make(stop: threading.Event) -> None:
        while not stop.is_set():
            name = f"made-{next(numbers)}"
            with contextlib.suppress(subprocess.TimeoutExpired):
                engine.docker("network", "create", name, timeout=20)
                if next(numbers) % 3:
                    engine.docker("network", "rm", name, timeout=20)

    for pause in (0.4, 0.8, 1.1):
        stop = threading.Event()
        actors = [threading.Thread(target=make, args=(stop,)) for _ in range(2)]
        for actor in actors:
            actor.start()
        time.sleep(pause)
        engine.kill()
        stop.set()
        engine.start()
        for actor in actors:
            actor.join()  # What was asked while no daemon ran is answered now.
        known = engine.ok(
            "network", "ls", "-q", "--filter", "driver=bridge", "--filter", "type=custom"
        ).split()
        out = subprocess.run(
            ["ip", "-n", engine.network.name, "-o", "link"], capture_output=True, text=True, check=True
        ).stdout
        assert set(re.findall(r"br-([0-9a-f]{12})", out)) == set(known)
        subnets = [
            pool["Subnet"]
            for one in json.loads(engine.ok("network", "inspect", "bridge", *known))
            for pool in one["IPAM"]["Config"]
        ]
        assert len(subnets) == len(set(subnets))
        if known:
            engine.ok("network", "rm", *known)


def test_a_daemon_that_is_away_keeps_its_bridge(make_engine: Callable[..., Engine], place: Path) -> None:
    def device(one: Engine) -> str:
        found = json.loads(one.ok("network", "inspect", "bridge"))[0]
        return str(found["Options"]["com.docker.network.bridge.name"])

    engine = make_engine()
    engine.ok("run", "-d", "--name", "one", "busybox", "sleep", "600")
    before = device(engine)
    engine.kill()
    other = Engine(place / "other", engine.network)
    try:
        other.start()
        assert device(other) != before
    finally:
        other.remove()
    engine.start()
    assert device(engine) == before
    check_default(engine)


def test_the_default_network_stays_as_it_is_while_containers_run(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.ok("run", "-d", "--name", "one", "--restart", "always", "busybox", "sleep", "600")
    address = "{{.NetworkSettings.Networks.bridge.IPAddress}}"
    before = engine.ok("inspect", "-f", address, "one")
    engine.kill()
    engine.arguments += ["--bip", "10.88.0.1/24"]
    engine.start()
    assert "updated network configuration will not take effect" in engine.log.read_text()
    check_default(engine)
    assert engine.ok("inspect", "-f", address, "one") == before
    engine.ok("rm", "-f", "one")
    assert engine.stop() == 0
    engine.start()
    engine.ok("run", "-d", "--name", "one", "busybox", "sleep", "600")
    assert engine.ok("inspect", "-f", address, "one") == "10.88.0.2"
    check_default(engine)


def check_default(engine: Engine) -> None:
    """Containers on the default network reach it."""
    gateway = json.loads(engine.ok("network", "inspect", "bridge"))[0]["IPAM"]["Config"][0]["Gateway"]
    engine.ok("exec", "one", "ping", "-c", "1", "-W", "5", gateway)
