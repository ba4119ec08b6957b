"""This file is about commands in a machine that is tested: qemu's guest agent runs them, over a port.

The machine gets the component `moby/qemu-ga` as one more service. Neither network nor console is needed.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from moby.core.errors import System
from moby.machine.recipes import PATH

SERVICE = "moby-check"
PORT = "org.mobyproject.check.0"
_LINE_LIMIT = 64 << 20
_PAUSE_S = 0.1
# The machine's own root, and what starts its containers.
_IN_MACHINE = ("/bin/nsenter", "-t", "1", "-m", "-u", "-i", "-n", "-p", "--")
_IN_CONTAINER = 'for each in crun runc; do command -v $each > /dev/null && exec $each exec "$@"; done'


def agent_assembly() -> bytes:
    """What is merged into the assembly of a machine under test: one more service."""
    service = {"name": SERVICE, "image": "moby/qemu-ga", "env": [PATH, f"AGENT_PORT={PORT}"]}
    return msgspec.json.encode({"services": [service]})


def agent_device(socket: Path) -> list[str]:
    """What qemu is to be told, so that the agent is reached at a socket."""
    return [
        "-device", "virtio-serial-pci",
        "-chardev", f"socket,id=check,path={str(socket).replace(',', ',,')},server=on,wait=off",
        "-device", f"virtserialport,chardev=check,name={PORT}",
    ]  # fmt: skip


def in_machine(command: Sequence[str], service: str) -> list[str]:
    """The words that run a command in the machine's root, or in a service's container."""
    if not service:
        return [*_IN_MACHINE, "env", PATH, *command]
    return [*_IN_MACHINE, "env", PATH, "sh", "-c", _IN_CONTAINER, "-", service, *command]


class Agent:
    """A connection to the agent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def run(self, argv: Sequence[str]) -> tuple[int, str]:
        """Run a program to its end: its status, and what it said. Raises System."""
        started = await self._ask("guest-exec", path=argv[0], arg=list(argv[1:]), **{"capture-output": True})
        while True:
            state = await self._ask("guest-exec-status", pid=started["pid"])
            if state["exited"]:
                break
            await asyncio.sleep(_PAUSE_S)
        said = base64.b64decode(state.get("out-data", "")) + base64.b64decode(state.get("err-data", ""))
        return int(state.get("exitcode", 128 + state.get("signal", 0))), said.decode(errors="replace")

    async def synchronise(self) -> None:
        """Wait for the agent, and skip what it has to say to others."""
        number = secrets.randbelow(1 << 31)
        # 0xff lets the agent forget a half-read line.
        await self._send({"execute": "guest-sync", "arguments": {"id": number}}, b"\xff")
        while (await self._answer()).get("return") != number:
            pass

    async def _ask(self, order: str, **arguments: Any) -> dict[str, Any]:
        await self._send({"execute": order, "arguments": arguments})
        answer = await self._answer()
        if "error" in answer:
            raise System(f"the guest agent: {answer['error'].get('desc', answer['error'])}")
        returned: dict[str, Any] = answer["return"]
        return returned

    async def _send(self, message: dict[str, Any], before: bytes = b"") -> None:
        try:
            self._writer.write(before + msgspec.json.encode(message) + b"\n")
            await self._writer.drain()
        except OSError as error:
            raise System(f"the guest agent: {error.strerror or error}") from error

    async def _answer(self) -> dict[str, Any]:
        try:
            line = await self._reader.readline()
        except (OSError, ValueError) as error:
            raise System(f"the guest agent: {error}") from error
        if not line:
            raise System("the guest agent's port is closed")
        try:
            found: dict[str, Any] = msgspec.json.decode(line.lstrip(b"\xff"), type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise System(f"the guest agent says {line[:80]!r}") from error
        return found


@asynccontextmanager
async def connected(socket: Path) -> AsyncIterator[Agent]:
    """The agent at a socket, when it answers; the caller limits the time, and comes alone. Raises System."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket), limit=_LINE_LIMIT)
    except OSError as error:
        raise System(f"the guest agent: {error.strerror or error}") from error
    try:
        found = Agent(reader, writer)
        await found.synchronise()
        yield found
    finally:
        writer.close()
