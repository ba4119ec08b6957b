"""Probes of servers that answer rightly, wrongly and not at all."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from moby.framework.machine import Check, CommandCheck, HttpCheck, TcpCheck
from moby.host.process import Running
from moby.machine.guest_agent import in_machine
from moby.machine.probes import Subject, why_not

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Process:
    """A machine's process."""

    code: int | None = None


def subject(folder: Path, port: int = 1, guest: int = 80) -> Subject:
    return Subject(cast("Running", Process()), folder / "console", {guest: port}, folder / "agent")


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[int]:
    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(handled, "127.0.0.1", 0) as server:
        yield int(server.sockets[0].getsockname()[1])


def answer(status: str, body: str) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
        )
        await writer.drain()

    return handler


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (HttpCheck(80, contains="hello"), ""),
        (HttpCheck(80, contains="bye"), "no 'bye' in 'hello you'"),
        (HttpCheck(80, status=404), "status 200, not 404: 'hello you'"),
    ],
)
async def test_http(wanted: HttpCheck, why: str, tmp_path: Path) -> None:
    async with serving(answer("200 OK", "hello\nyou")) as port:
        assert await why_not(Check(http=wanted), subject(tmp_path, port)) == why
    assert (await why_not(Check(http=wanted), subject(tmp_path, port))).startswith("no answer: ")


async def test_tcp(tmp_path: Path) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"got " + await reader.readline())
        await writer.drain()

    async with serving(echo) as port:
        machine = subject(tmp_path, port)
        assert await why_not(Check(tcp=TcpCheck(80, "PING\n", "got PING")), machine) == ""
        why = await why_not(Check(tcp=TcpCheck(80, "PING\n", "PONG")), machine)
        assert why == "it closes after 'got PING'"


def agent(status: int, said: str) -> Handler:
    """A guest agent that runs whatever it is told to, and says at first what somebody else had asked."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'{"return": 1}\n')
        polls = 0
        while line := await reader.readline():
            asked = json.loads(line.lstrip(b"\xff"))
            match asked["execute"]:
                case "guest-sync":
                    found = asked["arguments"]["id"]
                case "guest-exec" if asked["arguments"]["path"] == "/bin/nsenter":
                    found = {"pid": 7}
                case "guest-exec-status" if asked["arguments"]["pid"] == 7:
                    polls += 1
                    found = {"exited": polls > 1}
                    if polls > 1:
                        found |= {"exitcode": status, "out-data": base64.b64encode(said.encode()).decode()}
                case _:
                    writer.write(b'{"error": {"class": "GenericError", "desc": "no such order"}}\n')
                    continue
            writer.write(json.dumps({"return": found}).encode() + b"\n")

    return handler


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (CommandCheck(["true"], status=3, contains="wor"), ""),
        (CommandCheck(["true"]), "status 3, not 0: 'some words'"),
        (CommandCheck(["true"], status=3, contains="x"), "no 'x' in 'some words'"),
    ],
)
async def test_commands_are_run_by_the_guest_agent(wanted: CommandCheck, why: str, tmp_path: Path) -> None:
    handler = agent(3, "some words\n")

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_unix_server(handled, tmp_path / "agent"):
        assert await why_not(Check(command=wanted), subject(tmp_path)) == why


async def test_without_an_agent_a_command_is_not_run(tmp_path: Path) -> None:
    why = await why_not(Check(command=CommandCheck(["true"])), subject(tmp_path))
    assert why == "the guest agent: No such file or directory"


def test_a_command_runs_in_the_machine_or_in_a_service() -> None:
    assert in_machine(["ls", "/"], "")[-2:] == ["ls", "/"]
    assert in_machine(["ls", "/"], "web")[-4:] == ["-", "web", "ls", "/"]


async def test_the_console_and_the_end(tmp_path: Path) -> None:
    machine = subject(tmp_path)
    assert await why_not(Check(console="up$"), machine) == "the console does not show it"
    machine.log.write_bytes(b"moby: up\r\nmore")
    assert await why_not(Check(console="up$"), machine) == ""
    assert await why_not(Check(powers_off=True), machine) == "the machine is still up"
    cast("Process", machine.process).code = 0
    assert await why_not(Check(powers_off=True), machine) == ""
