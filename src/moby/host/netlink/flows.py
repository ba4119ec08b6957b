"""This file is about flows that the kernel tracks (linux/netfilter/nfnetlink_conntrack.h)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from contextlib import suppress

from moby.core.errors import NotFound
from moby.host.netlink.requests import Request, attribute, attributes, nested, number
from moby.host.netlink.routing_socket import RoutingSocket

_NETFILTER, _GET, _DELETE = 12, 0x101, 0x102
_HEADERS = tuple(struct.pack("=BBH", family, 0, 0) for family in (socket.AF_INET, socket.AF_INET6))
_ORIGINAL, _FILTER = 1, 25
_TUPLE_PROTOCOL, _NUMBER, _DESTINATION_PORT = 2, 1, 3
_ORIGINAL_FLAGS, _REPLY_FLAGS = 1, 2
_BY_PROTOCOL_AND_PORT = 1 << 3 | 1 << 5


def forget_udp_flows(ports: Sequence[int]) -> None:
    """Forget the UDP flows to these ports, which would go on to where their first packet went.

    A client that keeps sending from one port is one flow, however many containers come and go behind it.
    """
    if not ports:
        return
    with RoutingSocket(_NETFILTER) as netfilter:
        for port in set(ports):
            for header in _HEADERS:
                for original in _flows(netfilter, header, port):
                    with suppress(NotFound):
                        body = header + nested(_ORIGINAL, original)
                        netfilter.change([Request(_DELETE, 0, body, "forget flow")])


def _flows(netfilter: RoutingSocket, header: bytes, port: int) -> list[bytes]:
    """The original direction of every UDP flow of a family to a port."""
    protocol = nested(
        _TUPLE_PROTOCOL,
        attribute(_NUMBER, bytes([socket.IPPROTO_UDP])),
        attribute(_DESTINATION_PORT, port.to_bytes(2, "big")),
    )
    flags = nested(_FILTER, number(_ORIGINAL_FLAGS, _BY_PROTOCOL_AND_PORT), number(_REPLY_FLAGS, 0))
    found = []
    body = header + nested(_ORIGINAL, protocol) + flags
    for reply in netfilter.dump(_GET, body, "list flows"):
        original = attributes(reply[len(header) :]).get(_ORIGINAL, b"")
        values = attributes(attributes(original).get(_TUPLE_PROTOCOL, b""))
        # A kernel before 5.8 does not know the filter and lists every flow.
        if values.get(_NUMBER) == bytes([socket.IPPROTO_UDP]) and values.get(
            _DESTINATION_PORT
        ) == port.to_bytes(2, "big"):
            found.append(original)
    return found
