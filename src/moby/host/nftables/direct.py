"""This file is about the socket to the packet filter: transactions of what the modules beside it make.

libnftables first looks at every table of the host, whatever it is told: with hundreds of them that takes
longer than all the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from moby.core.errors import MobyError
from moby.host.netlink import Request, RoutingSocket, attribute, text
from moby.host.netlink.requests import attributes
from moby.host.nftables.objects import GET_TABLE, NETFILTER, SUBSYSTEM, delete_table, find_table, message

_BEGIN, _END = 16, 17
_GET_ELEMENTS, _GET_GENERATION = SUBSYSTEM << 8 | 13, SUBSYSTEM << 8 | 16
_HEADER_SIZE, _GENERATION, _ELEMENTS = 4, 1, 3
# A transaction is sent in one piece: a hundred thousand elements.
_ROOM = 16 << 20


class Direct:
    """A socket to the packet filter of the namespace that it was made in; for one thread after the other.

    It stays open: whoever watches the packet filter has to know that it is ours.
    """

    def __init__(self) -> None:
        self._socket = RoutingSocket(NETFILTER, room=_ROOM)

    def close(self) -> None:
        """Free the socket."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def has_table(self, family: str, table: str) -> bool:
        """Is there such a table?"""
        asked = message(GET_TABLE, family, find_table(table), what=f"find table {table}")
        return self._socket.get(asked.kind, asked.body, asked.what) is not None

    def delete_unused(self, family: str, table: str, name: str) -> None:
        """Remove a table if a set in it has no elements; no error if it is gone.

        Nothing happens if somebody changes the packet filter meanwhile.
        """
        told = self._socket.get(_GET_GENERATION, message(_GET_GENERATION, "").body, "ask for the generation")
        generation = attributes((told or b"")[_HEADER_SIZE:]).get(_GENERATION, b"")
        body = message(_GET_ELEMENTS, family, text(1, table), text(2, name)).body
        with suppress(MobyError):
            replies = list(self._socket.dump(_GET_ELEMENTS, body, f"list set {table} {name}"))
            if any(attributes(reply[_HEADER_SIZE:]).get(_ELEMENTS) for reply in replies):
                return
            begin = message(_BEGIN, "", attribute(_GENERATION, generation), resource=SUBSYSTEM)
            self._socket.transact(begin, [delete_table(family, table)], _end())

    def change(self, requests: Sequence[Request]) -> None:
        """All of it or nothing. Raises NotFound for a table, a set or an element, Conflict for an element."""
        if requests:
            self._socket.transact(message(_BEGIN, "", resource=SUBSYSTEM), requests, _end())


def _end() -> Request:
    return message(_END, "", resource=SUBSYSTEM)
