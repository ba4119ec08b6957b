"""This file is about asking a machine whether a check is true: each probe says why it is not, or nothing."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path

from moby.core.errors import System
from moby.framework.machine import Check, CommandCheck, HttpCheck, TcpCheck
from moby.host.process import Running
from moby.machine.guest_agent import connected, in_machine

_ANSWER_S = 5
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Subject:
    """The machine that is asked; `ports` are where its own are reached here."""

    process: Running
    log: Path
    ports: dict[int, int]
    agent: Path
    # qemu talks to one at a time.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


def described(check: Check) -> str:
    """A check in words."""
    if check.http is not None:
        return f"http on port {check.http.port}{check.http.path}"
    if check.tcp is not None:
        return f"tcp on port {check.tcp.port}"
    if check.command is not None:
        where = f" in {check.command.service}" if check.command.service else ""
        return f"command{where}: {' '.join(check.command.run)}"
    return "power off" if check.powers_off else f"console: {check.console}"


def console(log: Path) -> str:
    """What the console has shown."""
    return log.read_bytes().decode(errors="replace").replace("\r", "") if log.exists() else ""


async def why_not(check: Check, subject: Subject) -> str:
    """Why a check is not true by now; empty if it is."""
    if check.http is not None:
        return await _http(check.http, subject.ports[check.http.port])
    if check.tcp is not None:
        return await _tcp(check.tcp, subject.ports[check.tcp.port])
    if check.command is not None:
        return await _command(check.command, subject)
    if check.console is not None:
        found = re.search(check.console, console(subject.log), re.MULTILINE)
        return "" if found else "the console does not show it"
    return "" if subject.process.code == 0 else "the machine is still up"


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


async def _http(wanted: HttpCheck, port: int) -> str:
    import aiohttp

    url = f"http://127.0.0.1:{port}{wanted.path}"
    try:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            body = await response.text(errors="replace")
    except TimeoutError:
        return f"no answer in {_ANSWER_S} s"
    except (aiohttp.ClientError, OSError) as error:
        return f"no answer: {error}"
    if response.status != wanted.status:
        return f"status {response.status}, not {wanted.status}: {_shown(body)}"
    return "" if wanted.contains in body else f"no {wanted.contains!r} in {_shown(body)}"


async def _tcp(wanted: TcpCheck, port: int) -> str:
    """qemu takes the connection whether or not there is a server."""
    said = b""
    try:
        async with asyncio.timeout(_ANSWER_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(wanted.send.encode())
                while wanted.contains.encode() not in said or not said:
                    chunk = await reader.read(4096)
                    if not chunk:
                        return f"it closes after {_shown(said.decode(errors='replace'))}"
                    said += chunk
                return ""
            finally:
                writer.close()
    except TimeoutError:
        return f"it says {_shown(said.decode(errors='replace'))}" if said else "it says nothing"
    except OSError as error:
        return f"no connection: {error}"


async def _command(wanted: CommandCheck, subject: Subject) -> str:
    try:
        async with subject.turn, connected(subject.agent) as machine:
            status, said = await machine.run(in_machine(wanted.run, wanted.service))
    except System as error:
        return error.message
    if status != wanted.status:
        return f"status {status}, not {wanted.status}: {_shown(said)}"
    return "" if wanted.contains in said else f"no {wanted.contains!r} in {_shown(said)}"
