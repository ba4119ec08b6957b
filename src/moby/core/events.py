"""This file is about events: what the engine tells everyone who listens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import msgspec


class Actor(msgspec.Struct, frozen=True, rename={"id": "ID", "attributes": "Attributes"}):
    """Whom an event is about; `id` is a container's ID, an image's reference, a network's ID..."""

    id: str
    attributes: Mapping[str, str]


class Event(msgspec.Struct, frozen=True):
    """Something that happened (Engine API, `EventMessage`); times in seconds and nanoseconds since 1970."""

    type: str = msgspec.field(name="Type")
    action: str = msgspec.field(name="Action")
    actor: Actor = msgspec.field(name="Actor")
    time: int = msgspec.field(name="time")
    time_nano: int = msgspec.field(name="timeNano")
    scope: str = msgspec.field(name="scope", default="local")


class Bus(Protocol):
    """Carries events from the services to listeners.

    Publishing never waits and never fails: a listener that does not read loses its place and is told so by
    the end of its stream. Events are published after the change they tell of is on disk.
    """

    def publish(self, type_: str, action: str, actor: str, attributes: Mapping[str, str]) -> None:
        """Tell everyone."""
        ...

    def listen(self, *, since_ns: int | None = None, until_ns: int | None = None) -> AsyncIterator[Event]:
        """Past events from `since_ns` that are still kept, then live ones (none if `until_ns` has passed).

        The listener is registered when the iterator is made, not at its first step.
        """
        ...
