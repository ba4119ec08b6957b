"""Many networks and endpoints made and removed at once: no address is handed out twice, and nothing is left.

`MOBY_TEST_NETWORKS` says how many networks, each with four endpoints; `make storm` has 500 of them.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_interface, ip_network
from itertools import pairwise
from typing import Any

import pytest
from docker import APIClient
from docker.errors import APIError

from tests.clients.conftest import KIND
from tests.clients.engine import Engine
from tests.leftovers import links, tables

COUNT = int(os.environ.get("MOBY_TEST_NETWORKS", "24"))
EACH, CLIENTS = 4, 16
CONTAINERS = max(EACH * 2, COUNT // 25)

pytestmark = [
    pytest.mark.skipif(KIND != "mobyd", reason="dockerd takes minutes"),
    pytest.mark.timeout(120 + COUNT * 2),
]


@contextmanager
def api(engine: Engine) -> Iterator[APIClient]:
    """A client of a thread's own."""
    client = APIClient(base_url=f"unix://{engine.socket}", timeout=120)
    try:
        yield client
    finally:
        client.close()


def everywhere(engine: Engine, work: Callable[[APIClient, int], None], numbers: Sequence[int]) -> None:
    """The work for each number, by many clients at once; in no order."""

    def share(mine: Sequence[int]) -> None:
        with api(engine) as client:
            for number in mine:
                work(client, number)

    mixed = random.Random(5).sample(numbers, len(numbers))
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(share, (mixed[at::CLIENTS] for at in range(CLIENTS))))


def members(number: int) -> list[str]:
    """The containers that are on a network."""
    return [f"crowd-{(number * EACH + place) % CONTAINERS}" for place in range(EACH)]


def fill(client: APIClient, number: int) -> None:
    """A network, and everybody on it."""
    client.create_network(f"crowd-{number}")
    for name in members(number):
        client.connect_container_to_network(name, f"crowd-{number}")


def clear(client: APIClient, number: int) -> None:
    """Nobody on it, and no network; while somebody else makes and removes others."""
    names = members(number)
    for place, name in enumerate(names):
        with pytest.raises(APIError, match="active endpoints"):
            client.remove_network(f"crowd-{number}")
        client.disconnect_container_from_network(name, f"crowd-{number}", force=place == 0)
    client.remove_network(f"crowd-{number}")
    passing = client.create_network(f"passing-{number}")["Id"]
    client.connect_container_to_network(names[0], passing)
    client.disconnect_container_from_network(names[0], passing)
    client.remove_network(passing)


def inside(container: Any) -> Counter[str]:
    """The addresses in a container's namespace."""
    command = ["nsenter", f"--net=/proc/{container['State']['Pid']}/ns/net", "ip", "-j", "-4", "address"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return Counter(
        f"{one['local']}/{one['prefixlen']}"
        for link in found
        if link["ifname"] != "lo"
        for one in link["addr_info"]
    )


def check(engine: Engine, client: APIClient) -> None:
    """What networks show, what containers show and what the kernel has are the same, each address once."""
    shown: dict[str, Counter[str]] = {}
    subnets = []
    for number in range(COUNT):
        network = client.inspect_network(f"crowd-{number}")
        (pool,) = network["IPAM"]["Config"]
        subnets.append(ip_network(pool["Subnet"]))
        assert len(network["Containers"]) == EACH
        for container, place in network["Containers"].items():
            assert ip_interface(place["IPv4Address"]).network == subnets[-1]
            shown.setdefault(container, Counter())[place["IPv4Address"]] += 1
    assert not [one for one, other in pairwise(sorted(subnets)) if one.overlaps(other)]
    everyone = Counter[str]()
    for name in {f"crowd-{number}" for number in range(CONTAINERS)}:
        container = client.inspect_container(name)
        place = container["NetworkSettings"]["Networks"]["bridge"]
        shown.setdefault(container["Id"], Counter())[f"{place['IPAddress']}/{place['IPPrefixLen']}"] += 1
        assert inside(container) == shown[container["Id"]], name
        everyone += shown[container["Id"]]
    assert sum(everyone.values()) == COUNT * EACH + CONTAINERS
    assert max(everyone.values()) == 1


def test_a_crowd_comes_and_goes(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine("--default-address-pool", "base=10.64.0.0/12,size=27")
    for number in range(CONTAINERS):
        engine.ok("run", "-d", "--name", f"crowd-{number}", "busybox", "sleep", "3600")
    before = links(engine.network.enter), tables(engine.network.enter)
    with api(engine) as client:
        everywhere(engine, fill, range(COUNT))
        check(engine, client)
        everywhere(engine, clear, range(COUNT))
        assert len(client.networks()) == 3
        assert (links(engine.network.enter), tables(engine.network.enter)) == before
        for number in range(CONTAINERS):
            assert sum(inside(client.inspect_container(f"crowd-{number}")).values()) == 1
        # Every pool is free again: the first one is the second, after the default network's.
        again = client.create_network("again")["Id"]
        assert client.inspect_network(again)["IPAM"]["Config"][0]["Subnet"] == "10.64.0.32/27"
        client.remove_network(again)
