"""This file is about where a registry is: its mirrors, its own address, and how far each is trusted."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from moby.core.errors import InvalidParameter, System
from moby.core.reference import DEFAULT_DOMAIN
from moby.images.registry.hosts_files import Capability, Host, hosts_file
from moby.images.registry.settings import RegistryConfig

HUB = "registry-1.docker.io"
_CONTEXTS_KEPT = 4
_CONTEXTS: dict[tuple[object, ...], ssl.SSLContext] = {}


class Endpoint(msgspec.Struct, frozen=True):
    """One place to ask; `insecure` allows any certificate, and plain HTTP where TLS is not spoken.

    `base` is where the API is below the host, `verify` off allows any certificate alone.
    """

    host: str
    scheme: str = "https"
    path: str = ""
    insecure: bool = False
    mirror: bool = False
    base: str = "/v2"
    capabilities: tuple[Capability, ...] = ("pull", "resolve", "push")
    verify: bool = True
    authorities: tuple[Path, ...] = ()
    clients: tuple[tuple[Path, Path], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def url(self) -> str:
        """The registry itself, without a slash at the end."""
        return f"{self.scheme}://{self.host}{self.path}"

    @property
    def api(self) -> str:
        """Where its API begins, without a slash at the end."""
        return f"{self.url}{self.base}"


def endpoints(domain: str, config: RegistryConfig) -> Sequence[Endpoint]:
    """Where to ask for what is kept at `domain`, in this order; the last is the registry itself."""
    own = Endpoint(HUB if domain == DEFAULT_DOMAIN else domain, insecure=is_insecure(domain, config))
    described = hosts_file(domain, config.certs_dir)
    mirrors: list[Endpoint] = []
    if described is not None:
        file, directory = described
        mirrors = [_described(url, host, directory, config) for url, host in file.host.items()]
        server = _described(file.server or own.url, file, directory, config)
        own = msgspec.structs.replace(server, mirror=False, insecure=own.insecure or server.insecure)
        # A place that is the registry itself, named among the others to say how it is spoken to.
        if any(each.url == own.url for each in mirrors):
            mine = next(each for each in mirrors if each.url == own.url)
            own = msgspec.structs.replace(mine, mirror=False, insecure=own.insecure)
            mirrors = [each for each in mirrors if each.url != own.url]
    if not mirrors and domain == DEFAULT_DOMAIN:
        mirrors = [_mirror(url, config) for url in config.registry_mirrors]
    return [*mirrors, own]


def _described(url: str, host: Host, directory: Path, config: RegistryConfig) -> Endpoint:
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "https", url
    name, _, path = rest.partition("/")
    if scheme not in ("http", "https") or not name or "@" in name:
        raise System(f"{directory}/hosts.toml: {url!r} is no place of a registry")
    path = f"/{path}".rstrip("/")
    return Endpoint(
        name,
        scheme,
        path.removesuffix("/v2") if not host.override_path else path,
        insecure=is_insecure(name, config),
        mirror=True,
        base="" if host.override_path else "/v2",
        capabilities=host.capabilities,
        verify=not host.skip_verify,
        authorities=host.authorities(directory),
        clients=host.clients(directory),
        headers=host.headers(),
    )


def _mirror(url: str, config: RegistryConfig) -> Endpoint:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("http", "https") or not rest or "@" in rest:
        raise InvalidParameter(f'invalid mirror: "{url}" is not a valid URI')
    host, _, path = rest.partition("/")
    path = f"/{path}".rstrip("/")
    insecure = is_insecure(host, config)
    return Endpoint(host, scheme, path, insecure=insecure, mirror=True, capabilities=("pull", "resolve"))


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
    """What is trusted at an endpoint, and who we are there. Raises System for a broken directory.

    To read the system's certificates takes 50 ms, so what was made of the same files is used again.
    """
    if "/" in endpoint.host or endpoint.host.startswith("."):
        raise InvalidParameter(f"invalid registry host {endpoint.host!r}")
    directory, system = Path(certs_dir) / endpoint.host, ssl.get_default_verify_paths()
    files = [Path(place) for place in (system.cafile, system.capath) if place]
    files += [*endpoint.authorities, *(file for pair in endpoint.clients for file in pair), directory]
    with suppress(OSError):
        files += sorted(directory.iterdir())
    key = (endpoint.host, endpoint.insecure, endpoint.verify, *map(_state, files))
    context = _CONTEXTS.get(key)
    if context is None:
        if len(_CONTEXTS) >= _CONTEXTS_KEPT:
            del _CONTEXTS[next(iter(_CONTEXTS))]
        context = _CONTEXTS[key] = _tls_context(endpoint, certs_dir)
    return context


def _state(file: Path) -> tuple[str, int, int]:
    try:
        found = file.stat()
    except OSError:
        return str(file), 0, 0
    return str(file), found.st_ino, found.st_mtime_ns


def _tls_context(endpoint: Endpoint, certs_dir: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if endpoint.insecure or not endpoint.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_default_certs()
    for authority in endpoint.authorities:
        _use(authority, context.load_verify_locations, authority)
    for certificate, secret in endpoint.clients:
        _use(certificate, context.load_cert_chain, certificate, secret)
    directory = Path(certs_dir) / endpoint.host
    try:
        names = sorted(path.name for path in directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return context
    except OSError as error:
        raise System(f"open {directory}: {error.strerror}") from error
    for name in names:
        path = directory / name
        if name.endswith(".crt"):
            _use(path, context.load_verify_locations, path)
        elif name.endswith(".cert"):
            key = f"{name.removesuffix('.cert')}.key"
            if key not in names:
                raise System(
                    f"missing key {key} for client certificate {name}. "
                    "CA certificates must use the extension .crt"
                )
            _use(path, context.load_cert_chain, path, directory / key)
    return context


def _use(path: Path, load: Callable[..., object], *files: Path) -> None:
    try:
        load(*files)
    except (ssl.SSLError, OSError) as error:
        raise System(f"cannot use {path}: {error}") from error
