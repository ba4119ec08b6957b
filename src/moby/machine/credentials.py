"""This file is about what docker was told of registries: names and passwords in `~/.docker/config.json`."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

import msgspec

from moby.core.errors import InvalidParameter, MobyError
from moby.core.reference import DEFAULT_DOMAIN
from moby.core.types.registries import AuthConfig
from moby.host.process import run

_HUB = "https://index.docker.io/v1/"


class _Auth(msgspec.Struct):
    auth: str = ""
    identitytoken: str = ""


class _Config(msgspec.Struct, rename="camel"):
    auths: dict[str, _Auth] = {}
    cred_helpers: dict[str, str] = {}
    creds_store: str = ""


class _Helped(msgspec.Struct, rename="pascal"):
    username: str = ""
    secret: str = ""


async def credentials(domain: str) -> AuthConfig | None:
    """Who to be at a registry; None if docker's configuration does not say. Raises InvalidParameter."""
    config = _read()
    key = _HUB if domain == DEFAULT_DOMAIN else domain
    helper = config.cred_helpers.get(domain) or config.creds_store
    if helper:
        return await _ask(helper, key)
    for name in (key, f"https://{key}", f"https://{key}/"):
        if (found := config.auths.get(name)) is not None:
            return _decoded(domain, found)
    return None


def _read() -> _Config:
    folder = os.environ.get("DOCKER_CONFIG")
    path = (Path(folder) if folder else Path.home() / ".docker") / "config.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Config)
    except OSError:
        return _Config()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidParameter(f"{path}: {error}") from error


def _decoded(domain: str, found: _Auth) -> AuthConfig:
    try:
        name, _, password = base64.b64decode(found.auth, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidParameter(f"docker's configuration has no readable password for {domain}") from error
    return AuthConfig(name, password.rstrip("\0"), server_address=domain, identity_token=found.identitytoken)


async def _ask(helper: str, key: str) -> AuthConfig | None:
    if "/" in helper:
        raise InvalidParameter(f"{helper!r} is no name of a credential helper")
    try:
        result = await run([f"docker-credential-{helper}", "get"], stdin=key.encode(), limit_s=30)
        if result.code != 0:
            return None
        found = msgspec.json.decode(result.out, type=_Helped)
    except (MobyError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if found.username == "<token>":
        return AuthConfig(identity_token=found.secret, server_address=key)
    return AuthConfig(found.username, found.secret, server_address=key)
