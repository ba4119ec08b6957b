"""This file is about the options of local volumes: `type`, `o`, `device` as mount(8) has them, and `size`."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import msgspec

from moby.core.errors import InvalidParameter, System
from moby.core.snapshots import Mount

_KNOWN = frozenset({"type", "o", "device", "size"})
_NEEDED = {"device": ("type",), "type": ("device",), "o": ("device", "type")}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?", re.IGNORECASE)
_UNITS = ("", "k", "m", "g", "t", "p")
_PASSWORD = re.compile(r"password=[^,]+")


class Quota(msgspec.Struct, rename="pascal"):
    """A limit in bytes; 0 is none."""

    size: int = 0


class LocalOptions(msgspec.Struct, rename="pascal"):
    """The options as they lie beside the data (`opts.json`), in dockerd's own form."""

    mount_type: str = ""
    mount_opts: str = ""
    mount_device: str = ""
    quota: Quota = msgspec.field(default_factory=Quota)

    @property
    def mounts(self) -> bool:
        """Has something to be mounted while the volume is used?"""
        return bool(self.mount_type or self.mount_device)

    def mount(self) -> Mount:
        """What to mount, hosts by their addresses. Blocks on the resolver. Raises System."""
        device, words = self.mount_device, self.mount_opts
        if not device:
            raise System("missing device in volume options")
        if self.mount_type in ("nfs", "cifs"):
            host = next((word[5:] for word in words.split(",") if word.startswith("addr=")), "")
            if host:
                words = words.replace(f"addr={host}", f"addr={_address(host)}", 1)
            elif self.mount_type == "cifs":
                device = _resolved(device)
        return Mount(self.mount_type, device, tuple(word for word in words.split(",") if word))

    def redacted(self) -> str:
        """The mount's words without its password."""
        return _PASSWORD.sub("password=********", self.mount_opts)


def parse_local_options(options: Mapping[str, str]) -> LocalOptions:
    """Raises InvalidParameter for an unknown one, and for one without those it needs."""
    for key in options:
        if key not in _KNOWN:
            raise InvalidParameter(f'invalid option: "{key}"')
    device = options.get("device", "")
    if options.get("type") == "cifs" and device and _port(device):
        raise InvalidParameter("port not allowed in CIFS device URL, include 'port' in 'o='")
    quota = Quota(_size(options["size"]) if "size" in options else 0)
    for key, needed in _NEEDED.items():
        for other in needed if key in options else ():
            if other not in options:
                raise InvalidParameter(f'missing required option: "{other}"')
    return LocalOptions(options.get("type", ""), options.get("o", ""), device, quota)


def _port(device: str) -> bool:
    try:
        return urlsplit(device).port is not None
    except ValueError as error:
        raise InvalidParameter(f"error parsing mount device url: {error}") from error


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InvalidParameter(f"invalid size: '{text}'")
    return int(float(match[1]) * 1024 ** _UNITS.index(match[2].lower()))


def _resolved(device: str) -> str:
    """A CIFS device with its host's address."""
    host = urlsplit(device).hostname
    return device if not host else unquote(device.replace(host, _address(host), 1))


def _address(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise System(f"error resolving passed in network volume address: {error.strerror}") from error
    except UnicodeError as error:
        raise System(f"error resolving passed in network volume address: {error}") from error
