"""This file is about registries in the Engine API: who asks, and what a log-in gives."""

from __future__ import annotations

import msgspec

from moby.core.types.wire import Wire, always, always_dict, always_list


class AuthConfig(msgspec.Struct, rename="lower", omit_defaults=True):
    """Who asks a registry; a token of either kind stands in for name and password."""

    username: str = ""
    password: str = ""
    auth: str = ""
    email: str = ""
    server_address: str = msgspec.field(name="serveraddress", default="")
    identity_token: str = msgspec.field(name="identitytoken", default="")
    registry_token: str = msgspec.field(name="registrytoken", default="")

    def __repr__(self) -> str:
        return f"AuthConfig(username={self.username!r}, server_address={self.server_address!r})"


class AuthResponse(Wire):
    """A log-in worked."""

    identity_token: str = ""
    status: str = always("")


class IndexInfo(Wire):
    """A registry as it is configured."""

    name: str = always("")
    mirrors: list[str] = always_list()
    secure: bool = always(True)
    official: bool = always(False)


class RegistryConfig(Wire):
    """Registries as they are configured."""

    insecure_registry_cidrs: list[str] = always_list(name="InsecureRegistryCIDRs")
    index_configs: dict[str, IndexInfo] = always_dict()
    mirrors: list[str] = always_list()
