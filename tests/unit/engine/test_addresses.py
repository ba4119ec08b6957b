"""Where the settings say that the API listens."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.engine.addresses import addresses
from moby.engine.config import EngineConfig


@pytest.mark.parametrize(("host", "expected"), [
    ("", "unix:///var/run/docker.sock"),
    ("unix://", "unix:///var/run/docker.sock"),
    ("unix:///a.sock", "unix:///a.sock"),
    ("fd://", "fd://"),
    ("fd://docker.socket", "fd://docker.socket"),
    ("tcp://", "tcp://127.0.0.1:2375"),
    ("tcp://:8000", "tcp://127.0.0.1:8000"),
    ("tcp://0.0.0.0:8000", "tcp://0.0.0.0:8000"),
    ("tcp://0.0.0.0", "tcp://0.0.0.0:2375"),
    ("tcp://[::1]:8000", "tcp://[::1]:8000"),
    ("tcp://[::1]", "tcp://[::1]:2375"),
    ("tcp://10.0.0.1:", "tcp://10.0.0.1:2375"),
    ("0.0.0.0:8000", "tcp://0.0.0.0:8000"),
])  # fmt: skip
def test_addresses_in_full(host: str, expected: str) -> None:
    assert addresses(EngineConfig(hosts=(host,))) == (expected,)


def test_the_usual_ports_and_the_usual_socket() -> None:
    assert addresses(EngineConfig()) == ("unix:///var/run/docker.sock",)
    assert addresses(EngineConfig(hosts=("tcp://",), tls=True)) == ("tcp://127.0.0.1:2376",)
    assert addresses(EngineConfig(hosts=("tcp://",), tlsverify=True)) == ("tcp://127.0.0.1:2376",)


def test_an_address_that_comes_twice_is_one() -> None:
    hosts = ("unix:///a.sock", "tcp://:1", "unix:///a.sock", "tcp://127.0.0.1:1")
    assert addresses(EngineConfig(hosts=hosts)) == ("unix:///a.sock", "tcp://127.0.0.1:1")


@pytest.mark.parametrize("host", ["npipe:////./pipe/d", "http://a", "tcp://a:b", "tcp://a:65536"])
def test_other_addresses_are_refused(host: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid bind address"):
        addresses(EngineConfig(hosts=(host,)))
