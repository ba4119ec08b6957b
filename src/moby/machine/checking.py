"""This file is about an assembly's checks: a machine is started, and what has to come true is awaited."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from moby.core.errors import MobyError, System
from moby.framework.machine import Check, HttpCheck, TcpCheck
from moby.host.process import Running, running
from moby.machine.runners.boot import Boot
from moby.machine.runners.hardware import Hardware, Port
from moby.machine.runners.qemu import command

_PAUSE_S = 0.25
_STARTS = 3
_WORDS = 15


class CheckFailed(System):
    """What should have come true has not."""


async def run_checks(
    boot: Boot, hardware: Hardware, checks: Sequence[Check], log: Path, tell: Callable[[str], None]
) -> None:
    """Start the machine and wait for every check. Raises CheckFailed with the console's last words."""
    for attempt in range(1, _STARTS + 1):
        servers = [server for check in checks if (server := check.http or check.tcp) is not None]
        ports = {server.port: _free_port() for server in servers}
        forwarded = tuple(Port(here, there) for there, here in ports.items())
        argv = command(
            boot, replace(hardware, ports=hardware.ports + forwarded), console=("-serial", "stdio")
        )
        async with running(argv, output=log) as machine:
            try:
                async with asyncio.TaskGroup() as group:
                    for check in checks:
                        group.create_task(_check(check, machine, log, ports, tell))
            except ExceptionGroup as failures:
                words = _console(log)
                # Somebody else may have taken the port that was free a moment ago.
                if "forwarding rule" in words and attempt < _STARTS:
                    continue
                first = failures.exceptions[0]
                if not isinstance(first, MobyError):
                    raise
                last = "\n".join(words.splitlines()[-_WORDS:])
                raise CheckFailed(f"{first}; the console's last words:\n{last}") from first
            return


def described(check: Check) -> str:
    """A check in words."""
    if check.http is not None:
        return f"http on port {check.http.port}{check.http.path}"
    if check.tcp is not None:
        return f"tcp on port {check.tcp.port}"
    return "power off" if check.powers_off else f"console: {check.console}"


async def _check(
    check: Check, machine: Running, log: Path, ports: dict[int, int], tell: Callable[[str], None]
) -> None:
    try:
        async with asyncio.timeout(check.within):
            while not await _true(check, machine, log, ports):
                if machine.code is not None:
                    raise CheckFailed(f"{described(check)}: the machine ended with status {machine.code}")
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        raise CheckFailed(f"{described(check)}: not within {check.within} s") from None
    tell(f"ok: {described(check)}")


async def _true(check: Check, machine: Running, log: Path, ports: dict[int, int]) -> bool:
    if check.http is not None:
        return await _answers(check.http, ports[check.http.port])
    if check.tcp is not None:
        return await _says(check.tcp, ports[check.tcp.port])
    if check.console is not None:
        return re.search(check.console, _console(log), re.MULTILINE) is not None
    return machine.code == 0


def _console(log: Path) -> str:
    return log.read_bytes().decode(errors="replace").replace("\r", "")


async def _answers(wanted: HttpCheck, port: int) -> bool:
    import aiohttp

    url = f"http://127.0.0.1:{port}{wanted.path}"
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            body = await response.text(errors="replace")
            return response.status == wanted.status and wanted.contains in body
    return False


async def _says(wanted: TcpCheck, port: int) -> bool:
    """Does the server say what it should? qemu takes the connection whether or not there is one."""
    said = b""
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(wanted.send.encode())
                while wanted.contains.encode() not in said or not said:
                    chunk = await reader.read(4096)
                    if not chunk:
                        return False
                    said += chunk
                return True
            finally:
                writer.close()
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
