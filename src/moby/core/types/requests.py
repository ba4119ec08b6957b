"""This file is about what clients ask for in query parameters, gathered into values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from socket import socket

import msgspec

from moby.core.filters import Filters
from moby.core.logs import LogQuery

Takeover = Callable[[bool], Awaitable[socket]]
"""Ends HTTP on the client's connection and hands it over as a plain non-blocking socket.

The argument says whether the stream is multiplexed. Whoever is handed the socket closes it.
"""


class ListRequest(msgspec.Struct, frozen=True):
    """Which containers to list (Engine API, `ContainerList`); `limit` 0 is none."""

    all: bool = False
    limit: int = 0
    size: bool = False
    filters: Filters = msgspec.field(default_factory=Filters)


class LogsRequest(msgspec.Struct, frozen=True):
    """Which part of a log (`ContainerLogs`): framed, or as `json`, an object a line with a prefix."""

    query: LogQuery
    timestamps: bool = False
    details: bool = False
    json: bool = False
    prefix: bytes = b""


class AttachRequest(msgspec.Struct, frozen=True):
    """Which streams of a container (Engine API, `ContainerAttach`).

    Unless it is `multiplexed`, or the container has a terminal, output is sent without saying which stream
    it is of.
    """

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    stream: bool = False
    logs: bool = False
    detach_keys: str = ""
    multiplexed: bool = True
