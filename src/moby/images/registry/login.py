"""This file is about logging in: whether a registry takes a name and a password."""

from __future__ import annotations

from moby.core.errors import InvalidParameter, Unauthorized
from moby.core.reference import DEFAULT_DOMAIN
from moby.core.types.registries import AuthConfig, AuthResponse
from moby.images.registry.client import Registries
from moby.images.registry.transport import Call

_HUB_NAMES = frozenset({"", "docker.io", "index.docker.io", "registry-1.docker.io"})


async def log_in(registries: Registries, auth: AuthConfig) -> AuthResponse:
    """Ask the registry that `auth` names. Raises Unauthorized if it says no, Unavailable if nothing."""
    address = auth.server_address.partition("://")[2] or auth.server_address
    host = address.partition("/")[0]
    if "@" in host or "?" in host or "#" in host:
        raise InvalidParameter(f"unable to parse server address: {auth.server_address!r}")
    domain = DEFAULT_DOMAIN if host in _HUB_NAMES else host
    transport = registries.own(domain, auth)
    call = Call("GET", f"{transport.endpoint.api}/", {}, "", ok=(200,))
    try:
        async with transport.send(call):
            return AuthResponse(status="Login Succeeded")
    except Unauthorized as error:
        said = error.fields.get("said") or error.message
        what = f"login attempt to {call.url} failed with status: 401 Unauthorized"
        raise Unauthorized(what, said=said) from error
