"""This file is about values of settings that cannot be right, each refused in dockerd's words."""

from __future__ import annotations

import ipaddress
from collections import Counter
from urllib.parse import urlsplit

from moby.core.errors import InvalidParameter, NotImplemented
from moby.engine.config import EngineConfig

_RESERVED = ("com.docker.", "io.docker.", "org.dockerproject.")


def check_values(config: EngineConfig) -> None:
    """Raises InvalidParameter for the first one, NotImplemented for a feature that we do not have."""
    _check_labels(config)
    for mirror in config.registry_mirrors:
        check_mirror(mirror)
    for address in (*config.dns, *config.host_gateway_ips, config.default_gateway, config.ip):
        _check_address(address)
    versions = Counter(ipaddress.ip_address(address).version for address in config.host_gateway_ips)
    for version, number in versions.items():
        if number > 1:
            raise InvalidParameter(f"only one IPv{version} host gateway IP address can be specified")
    for name, value in (
        ("default MTU", config.mtu),
        ("default stop timeout", config.default_stop_timeout),
    ):
        if value < 0:
            raise InvalidParameter(f"invalid {name}: {value}")
    if config.userland_proxy_path and not config.userland_proxy_path.startswith("/"):
        raise InvalidParameter(
            f"invalid userland-proxy-path: must be an absolute path: {config.userland_proxy_path}"
        )
    for feature, wanted in config.features.items():
        if wanted != (feature == "containerd-snapshotter"):
            raise NotImplemented(f"the feature {feature}={str(wanted).lower()} is not supported yet")


def _check_labels(config: EngineConfig) -> None:
    found: dict[str, str] = {}
    for label in config.labels:
        key, equals, value = label.partition("=")
        if not equals:
            raise InvalidParameter(f"bad attribute format: {label}")
        if label.lower().startswith(_RESERVED):
            raise InvalidParameter(
                f"label {label} is not allowed: the namespaces com.docker.*, io.docker.*, and "
                "org.dockerproject.* are reserved for internal use"
            )
        if found.setdefault(key, value) != value:
            raise InvalidParameter(f"conflict labels for {key}={value} and {key}={found[key]}")


def check_mirror(url: str) -> None:
    """A mirror is a registry's address with its scheme, and maybe a path."""
    scheme, separator, _ = url.partition("://")
    must = "must use either 'https://' or 'http://'"
    if not separator or not scheme:
        raise InvalidParameter(f'invalid mirror: no scheme specified for "{url}": {must}')
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise InvalidParameter(f'invalid mirror: "{url}" is not a valid URI') from error
    if parts.scheme not in ("http", "https"):
        raise InvalidParameter(f'invalid mirror: unsupported scheme "{scheme}" in "{url}": {must}')
    if parts.query or parts.fragment:
        raise InvalidParameter(f'invalid mirror: query or fragment at end of the URI "{url}"')
    if parts.username is not None:
        shown = url.replace(parts.netloc, f"{parts.username}:xxxxx@{parts.netloc.rpartition('@')[2]}", 1)
        raise InvalidParameter(f'invalid mirror: username/password not allowed in URI "{shown}"')


def _check_address(text: str) -> None:
    try:
        if text:
            ipaddress.ip_address(text)
    except ValueError as error:
        raise InvalidParameter(f"IP address is not correctly formatted: {text}") from error
