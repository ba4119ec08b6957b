"""This file is about an assembly's checks: a machine is started, and what has to come true is awaited."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from moby.core.errors import System
from moby.framework.machine import Check
from moby.host.process import running
from moby.machine.guest_agent import agent_device
from moby.machine.job import scratch_folder
from moby.machine.probes import Subject, console, described, why_not
from moby.machine.runners.boot import Boot
from moby.machine.runners.hardware import Hardware, Port
from moby.machine.runners.qemu import command

_PAUSE_S = 0.25
_STARTS = 3


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a check; `why` it is not true, or nothing."""

    check: Check
    seconds: float
    why: str = ""

    @property
    def name(self) -> str:
        """The check in words."""
        return described(self.check)


class CheckFailed(System):
    """What should have come true has not."""


async def run_checks(
    boot: Boot, hardware: Hardware, checks: Sequence[Check], log: Path, tell: Callable[[str], None]
) -> list[Result]:
    """Start the machine and see what becomes of every check, in their order; the machine ends with it."""
    for attempt in range(1, _STARTS + 1):
        servers = [server for check in checks if (server := check.http or check.tcp) is not None]
        ports = {server.port: _free_port() for server in servers}
        forwarded = tuple(Port(here, there) for there, here in ports.items())
        # A socket's path is short.
        with scratch_folder(Path(tempfile.gettempdir())) as scratch:
            whole = replace(hardware, ports=hardware.ports + forwarded)
            argv = command(boot, whole, console=("-serial", "stdio"))
            if any(check.command is not None for check in checks):
                argv += agent_device(scratch / "agent")
            async with running(argv, output=log) as machine:
                subject = Subject(machine, log, ports, scratch / "agent")
                async with asyncio.TaskGroup() as group:
                    asked = [group.create_task(_result(check, subject, tell)) for check in checks]
        results = [task.result() for task in asked]
        # Somebody else may have taken the port that was free a moment ago.
        failed = any(result.why for result in results)
        if not failed or attempt == _STARTS or "forwarding rule" not in console(log):
            return results
    raise AssertionError("the last start returns")


async def _result(check: Check, subject: Subject, tell: Callable[[str], None]) -> Result:
    start = time.monotonic()
    why = ""
    try:
        async with asyncio.timeout(check.within):
            while why := await why_not(check, subject):
                if subject.process.code is not None:
                    why = f"the machine ended with status {subject.process.code}"
                    break
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        why = f"not within {check.within} s: {why or 'no answer'}"
    # A machine that goes down may have said the last word meanwhile.
    if why and subject.process.code is not None and check.console and not await why_not(check, subject):
        why = ""
    result = Result(check, time.monotonic() - start, why)
    tell(f"FAILED: {result.name}: {why}" if why else f"ok: {result.name} ({result.seconds:.1f} s)")
    return result


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
