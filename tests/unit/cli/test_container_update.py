"""What `moby container update` makes of its words."""

from __future__ import annotations

import argparse

import pytest

from moby.cli.container_update import add_options, changes, parse_published
from moby.core.errors import InvalidParameter
from moby.core.types.containers import ContainerConfig, ContainerInspectResponse, HostConfig, LogConfig
from moby.core.types.networks import PortBinding

FOUND = ContainerInspectResponse(
    config=ContainerConfig(labels={"a": "1"}),
    host_config=HostConfig(
        port_bindings={
            "80/tcp": [PortBinding(host_port="8080"), PortBinding("127.0.0.1", "8081")],
            "53/udp": None,
        }
    ),
)


def changed(*words: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return changes(FOUND, parser.parse_args(["web", *words]))


@pytest.mark.parametrize(
    ("text", "key", "binding"),
    [
        ("80", "80/tcp", PortBinding()),
        ("8080:80", "80/tcp", PortBinding(host_port="8080")),
        ("8080:80/udp", "80/udp", PortBinding(host_port="8080")),
        ("127.0.0.1:8080:80", "80/tcp", PortBinding("127.0.0.1", "8080")),
        ("127.0.0.1::80", "80/tcp", PortBinding("127.0.0.1")),
        ("[::1]:8080:80", "80/tcp", PortBinding("::1", "8080")),
        ("8000-8010:80", "80/tcp", PortBinding(host_port="8000-8010")),
    ],
)
def test_ports(text: str, key: str, binding: PortBinding) -> None:
    assert parse_published(text) == (key, binding)


@pytest.mark.parametrize("text", ["", "x", "80/icmp", "1.2.3:80:80", ":80:", "80:80:80:80"])
def test_no_ports(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_published(text)


def test_published_ports_are_added_and_taken_out() -> None:
    body = changed("--publish-rm", "127.0.0.1:8081:80", "--publish-add", "9000:90")
    assert body == {
        "PortBindings": {
            "80/tcp": [PortBinding(host_port="8080")],
            "53/udp": [PortBinding()],
            "90/tcp": [PortBinding(host_port="9000")],
        }
    }
    bindings = changed("--publish-rm", "80")["PortBindings"]
    assert bindings == {"53/udp": [PortBinding()]}
    with pytest.raises(InvalidParameter):
        changed("--publish-rm", "81")


def test_labels_and_the_log() -> None:
    assert changed("--label-add", "b=2", "--label-rm", "a") == {"Labels": {"b": "2"}}
    assert changed("--log-opt", "max-size=1m") == {"LogConfig": LogConfig(config={"max-size": "1m"})}
    with pytest.raises(InvalidParameter):
        changed()
    with pytest.raises(InvalidParameter):
        changed("--label-add", "=b")
