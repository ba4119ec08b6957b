"""This file is about plugins that say who may do what: each is asked in turn, and the first no is final."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence

import msgspec

from moby.core.authorization import Answered, Asked, Authorizer
from moby.core.errors import Forbidden, MobyError, System
from moby.core.plugins import Plugins, Subsystem

_SUBSYSTEM: Subsystem = "authz"
_REQUEST, _RESPONSE = "AuthZPlugin.AuthZReq", "AuthZPlugin.AuthZRes"


class _Question(msgspec.Struct, rename="pascal", omit_defaults=True):
    user: str = ""
    user_auth_n_method: str = msgspec.field(default="", name="UserAuthNMethod")
    request_method: str = ""
    request_uri: str = ""
    request_body: bytes = b""
    request_headers: dict[str, str] = msgspec.field(default_factory=dict)
    request_peer_certificates: list[str] = msgspec.field(default_factory=list)
    response_status_code: int = 0
    response_body: bytes = b""
    response_headers: dict[str, str] = msgspec.field(default_factory=dict)


class _Decision(msgspec.Struct, rename="pascal"):
    allow: bool = False
    msg: str = ""
    err: str = ""


class AuthorizationPlugins(Authorizer):
    """Asks the plugins that are named, in their order; one that does not answer allows nothing."""

    def __init__(self, plugins: Plugins, names: Callable[[], Sequence[str]]) -> None:
        self._plugins = plugins
        self._names = names

    @property
    def required(self) -> bool:
        """See `Authorizer.required`."""
        return bool(self._names())

    async def check(self) -> None:
        """Are all of them there? Raises System."""
        for name in dict.fromkeys(self._names()):
            try:
                await self._plugins.find(name, _SUBSYSTEM)
            except MobyError as error:
                raise System(f"failed to validate authorization plugin: {error.message}") from error

    async def request(self, asked: Asked) -> None:
        """See `Authorizer.request`."""
        await self._decide(_REQUEST, _question(asked))

    async def response(self, asked: Asked, answered: Answered) -> None:
        """See `Authorizer.response`."""
        question = _question(asked)
        question.response_status_code = answered.status
        question.response_headers = dict(answered.headers)
        question.response_body = answered.body
        await self._decide(_RESPONSE, question)

    async def _decide(self, method: str, question: _Question) -> None:
        for name in dict.fromkeys(self._names()):
            try:
                plugin = await self._plugins.find(name, _SUBSYSTEM)
                decision = await plugin.call(method, question, _Decision)
            except MobyError as error:
                raise System(f"plugin {name} failed with error: {error.message}") from error
            if not decision.allow:
                raise Forbidden(f"authorization denied by plugin {name}: {decision.msg or decision.err}")


def _question(asked: Asked) -> _Question:
    return _Question(
        user=asked.user,
        user_auth_n_method="TLS" if asked.certificates else "",
        request_method=asked.method,
        request_uri=asked.uri,
        request_body=asked.body,
        request_headers=dict(asked.headers),
        request_peer_certificates=[b64encode(pem.encode()).decode() for pem in asked.certificates],
    )
