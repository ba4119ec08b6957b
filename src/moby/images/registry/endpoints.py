"""This file is about where a registry is: its mirrors, its own address, and how far each is trusted."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moby.core.errors import InvalidParameter, System
from moby.core.reference import DEFAULT_DOMAIN
from moby.images.registry.settings import RegistryConfig

HUB = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place to ask; `insecure` allows any certificate, and plain HTTP where TLS is not spoken."""

    host: str
    scheme: str = "https"
    path: str = ""
    insecure: bool = False
    mirror: bool = False

    @property
    def url(self) -> str:
        """Where the API of the registry begins, without a slash at the end."""
        return f"{self.scheme}://{self.host}{self.path}"


def endpoints(domain: str, config: RegistryConfig) -> Sequence[Endpoint]:
    """Where to ask for what is kept at `domain`, in this order."""
    found = []
    if domain == DEFAULT_DOMAIN:
        found = [_mirror(url, config) for url in config.registry_mirrors]
    host = HUB if domain == DEFAULT_DOMAIN else domain
    return [*found, Endpoint(host, insecure=is_insecure(domain, config))]


def _mirror(url: str, config: RegistryConfig) -> Endpoint:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("http", "https") or not rest or "@" in rest:
        raise InvalidParameter(f'invalid mirror: "{url}" is not a valid URI')
    host, _, path = rest.partition("/")
    path = f"/{path}".rstrip("/")
    return Endpoint(host, scheme, path, insecure=is_insecure(host, config), mirror=True)


def is_insecure(domain: str, config: RegistryConfig) -> bool:
    """Is it configured as insecure, or an address of this machine's own?"""
    if domain == DEFAULT_DOMAIN:
        return False
    host = _without_port(domain)
    if host == "localhost":
        return True
    networks = ["127.0.0.0/8", "::1/128"]
    for entry in config.insecure_registries:
        plain = entry.partition("://")[2] or entry
        if plain in (domain, host):
            return True
        networks.append(plain)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in map(_network, networks) if network is not None)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if "/" not in text:
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _without_port(domain: str) -> str:
    if domain.startswith("["):
        return domain[1 : domain.index("]")]
    return domain.rpartition(":")[0] if ":" in domain else domain


def tls_context(endpoint: Endpoint, certs_dir: str) -> ssl.SSLContext:
    """What is trusted at an endpoint, and who we are there. Raises System for a broken directory."""
    context = ssl.create_default_context()
    if endpoint.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if "/" in endpoint.host or endpoint.host.startswith("."):
        raise InvalidParameter(f"invalid registry host {endpoint.host!r}")
    directory = Path(certs_dir) / endpoint.host
    try:
        names = sorted(path.name for path in directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return context
    except OSError as error:
        raise System(f"open {directory}: {error.strerror}") from error
    for name in names:
        path = directory / name
        try:
            if name.endswith(".crt"):
                context.load_verify_locations(path)
            elif name.endswith(".cert"):
                key = f"{name.removesuffix('.cert')}.key"
                if key not in names:
                    raise System(
                        f"missing key {key} for client certificate {name}. "
                        "CA certificates must use the extension .crt"
                    )
                context.load_cert_chain(path, directory / key)
        except (ssl.SSLError, OSError) as error:
            raise System(f"cannot use {path}: {error}") from error
    return context
