"""This file is about `moby container update`: what it asks an engine to change, worked out of its words."""

from __future__ import annotations

import argparse
import re

from moby.core.errors import InvalidParameter
from moby.core.types.containers import ContainerConfig, ContainerInspectResponse, HostConfig, LogConfig
from moby.core.types.networks import PortBinding

Bindings = dict[str, list[PortBinding] | None]

_PORTS = r"\d+(?:-\d+)?"
_PUBLISHED = re.compile(
    rf"(?:(?P<ip>\[[0-9a-fA-F:.]+\]|\d+\.\d+\.\d+\.\d+):)?(?:(?P<host>{_PORTS})?:)?(?P<port>{_PORTS})(?:/(?P<protocol>tcp|udp|sctp))?"
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("container", help="a name, an ID or its beginning")
    for option, what, words in (
        ("publish-add", "[IP:][HOSTPORT:]PORT[/PROTOCOL]", "publish a port"),
        ("publish-rm", "[IP:][HOSTPORT:]PORT[/PROTOCOL]", "publish a port no more"),
        ("label-add", "KEY=VALUE", "set a label"),
        ("label-rm", "KEY", "remove a label"),
        ("log-opt", "KEY=VALUE", "an option of the log driver, from the next start on; replaces all"),
    ):
        parser.add_argument(f"--{option}", action="append", default=[], metavar=what, help=words)
    parser.add_argument("--log-driver", default="", help="another log driver, from the next start on")


def changes(found: ContainerInspectResponse, chosen: argparse.Namespace) -> dict[str, object]:
    """The body of the request. Raises InvalidParameter for words that mean nothing."""
    body: dict[str, object] = {}
    config, host = found.config or ContainerConfig(), found.host_config or HostConfig()
    if chosen.publish_add or chosen.publish_rm:
        bindings = {key: list(ones or [PortBinding()]) for key, ones in (host.port_bindings or {}).items()}
        for text in chosen.publish_rm:
            _withdraw(bindings, text)
        for text in chosen.publish_add:
            key, binding = parse_published(text)
            bindings.setdefault(key, []).append(binding)
        body["PortBindings"] = bindings
    if chosen.label_add or chosen.label_rm:
        labels = dict(config.labels or {})
        for key in chosen.label_rm:
            labels.pop(key, None)
        body["Labels"] = labels | dict(_pair(text) for text in chosen.label_add)
    if chosen.log_driver or chosen.log_opt:
        options = dict(_pair(text) for text in chosen.log_opt)
        body["LogConfig"] = LogConfig(type=chosen.log_driver, config=options)
    if not body:
        raise InvalidParameter("you must provide one or more flags when using this command")
    return body


def parse_published(text: str) -> tuple[str, PortBinding]:
    """`-p`'s words as the API has them. Raises InvalidParameter."""
    match = _PUBLISHED.fullmatch(text)
    if match is None:
        raise InvalidParameter(f"invalid port: {text}")
    binding = PortBinding(host_ip=(match["ip"] or "").strip("[]"), host_port=match["host"] or "")
    return f"{match['port']}/{match['protocol'] or 'tcp'}", binding


def _withdraw(bindings: dict[str, list[PortBinding]], text: str) -> None:
    """Take the ports out that these words are about: all that have what is named."""
    key, named = parse_published(text)
    left = [
        one
        for one in bindings.get(key, ())
        if (named.host_port and one.host_port != named.host_port)
        or (named.host_ip and one.host_ip != named.host_ip)
    ]
    if len(left) == len(bindings.get(key, ())):
        raise InvalidParameter(f"port {text} is not published")
    bindings[key] = left
    if not left:
        del bindings[key]


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    if not key:
        raise InvalidParameter(f"invalid value: {text}")
    return key, value
