"""This file is about a container's streams over a websocket (RFC 6455), as browsers attach to it.

The container's monitor speaks plain sockets: it gets one end of a pair, and the other is relayed.
"""

from __future__ import annotations

import asyncio
import socket

from moby.api.request import Request
from moby.api.serving import WebSocketResponse, WSMsgType
from moby.core.errors import InvalidParameter

_CHUNK = 64 * 1024
_LARGEST = 1 << 20


class WebSocketStream:
    """One client's websocket, once `take_over` has made it one; the relay runs in its `group`.

    Output is sent in binary messages, to clients that speak a version before 1.28 of the API in texts. What
    either of the two sends is a piece of a stream: the borders of messages mean nothing.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self.group: asyncio.TaskGroup
        self.response = WebSocketResponse(max_msg_size=_LARGEST)
        if not self.response.can_prepare(request.http):
            raise InvalidParameter("the request asks for no websocket")

    async def take_over(self, multiplexed: bool) -> socket.socket:
        """Answer the handshake; a plain socket that leads to the client. Nothing is `multiplexed` here."""
        await self._request.release(self.response)
        self._request.started = self.response
        await self.response.prepare(self._request.http)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self.group.create_task(self._relay(ours))
        return theirs

    async def _relay(self, ours: socket.socket) -> None:
        with ours:
            async with asyncio.TaskGroup() as both:
                typing = both.create_task(self._typed(ours))
                await self._shown(ours)
                # Before the closing words: the answer to them is read by who closes.
                typing.cancel()
        await self.response.close()

    async def _shown(self, ours: socket.socket) -> None:
        """What the container says, until it has no more to say or nobody listens."""
        loop = asyncio.get_running_loop()
        as_text = self._request.version < (1, 28)
        try:
            while data := await loop.sock_recv(ours, _CHUNK):
                if as_text:
                    await self.response.send_str(data.decode(errors="replace"))
                else:
                    await self.response.send_bytes(data)
        except ConnectionError:
            return

    async def _typed(self, ours: socket.socket) -> None:
        """What the client types, until it closes or breaks off: it is gone then, for both directions."""
        loop = asyncio.get_running_loop()
        try:
            async for message in self.response:
                if message.type is WSMsgType.BINARY:
                    await loop.sock_sendall(ours, message.data)
                elif message.type is WSMsgType.TEXT:
                    await loop.sock_sendall(ours, message.data.encode())
            ours.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The container has ended, and so will its output.
            return
