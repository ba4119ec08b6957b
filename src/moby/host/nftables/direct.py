"""This file is about the socket to the packet filter: transactions of what the modules beside it make.

libnftables first looks at every table of the host, whatever it is told: with hundreds of them that takes
longer than all the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from moby.host.netlink import Request, RoutingSocket
from moby.host.nftables.objects import GET_TABLE, NETFILTER, SUBSYSTEM, find_table, message

_BEGIN, _END = 16, 17
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

    def change(self, requests: Sequence[Request]) -> None:
        """All of it or nothing. Raises NotFound for a table, a set or an element, Conflict for an element."""
        if requests:
            begin, end = (message(kind, "", resource=SUBSYSTEM) for kind in (_BEGIN, _END))
            self._socket.transact(begin, requests, end)
