"""This file is about plugins: processes beside us that are drivers, or say who may do what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, TypeVar

from moby.core.errors import System

T = TypeVar("T")

Subsystem = Literal["VolumeDriver", "NetworkDriver", "IpamDriver", "LogDriver", "authz"]

LIMIT_S = 60.0


class Unreached(System):
    """A plugin was away all the while: it knows nothing of the call, which may be made again."""


class Plugin(Protocol):
    """A plugin that has said what it implements.

    Life: it is a process of its own, so that any call may fail, at any time, in any way; a call that could
    not even be begun is tried again for a while, since plugins are restarted like everything else. One that
    was begun is never sent twice.
    Cancellation: the plugin may have done what it was asked, or not.
    """

    @property
    def name(self) -> str:
        """What users call it."""
        ...

    async def call(
        self, method: str, request: object, kind: type[T], *, limit_s: float = LIMIT_S, patient: bool = True
    ) -> T:
        """What the plugin answers to `VolumeDriver.Get` and the like; it is not looked into for errors.

        Raises NotFound if it has no such method, Unreached if the call could not be begun, and System if it
        does not answer within `limit_s`, dies over it or talks nonsense. Who is not `patient` tries once, and
        not at all while it is known not to answer.
        """
        ...

    def stream(self, method: str, request: object) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """As `call`, for an answer that goes on for as long as the plugin likes."""
        ...


class Plugins(Protocol):
    """Where plugins come from: by name, and by what they implement."""

    async def find(self, name: str, subsystem: Subsystem) -> Plugin:
        """The plugin of that name. One that is not there yet is waited for, within a limit.

        Raises NotFound (`plugin "NAME" not found`), and System if it does not answer or cannot do that.
        """
        ...

    async def all(self, subsystem: Subsystem) -> Sequence[Plugin]:
        """Every plugin that can do that and answers at once."""
        ...

    def present(self, name: str) -> bool:
        """Is there a plugin of that name, whatever it can do, and whether it answers or not?"""
        ...

    def active(self, subsystem: Subsystem) -> Sequence[str]:
        """The names of those that have been used for that."""
        ...
