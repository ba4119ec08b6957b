"""This file is about programs that are run to their end, or beside what we do: children that we wait for."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from moby.core.errors import NotFound, System


class Result(msgspec.Struct, frozen=True):
    """How a child ended, and what it printed."""

    code: int
    out: bytes
    err: bytes


async def run(
    argv: Sequence[str],
    *,
    stdin: bytes | Path | None = None,
    limit_s: float = 60.0,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Result:
    """Run a program to its end; it reads bytes or a file. Raises NotFound if there is none, System if late.

    Cancellation: the program is killed and reaped; what it had done by then stays.
    """
    source = stdin.open("rb") if isinstance(stdin, Path) else None
    try:
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=source or (subprocess.DEVNULL if stdin is None else subprocess.PIPE),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=None if env is None else dict(env),
            cwd=cwd,
        )
    except FileNotFoundError as error:
        raise NotFound(f"{argv[0]}: no such program") from error
    except OSError as error:
        raise System(f"cannot run {argv[0]}: {(error.strerror or '').lower()}") from error
    finally:
        if source is not None:
            source.close()
    try:
        async with asyncio.timeout(limit_s):
            out, err = await child.communicate(stdin if isinstance(stdin, bytes) else None)
    except TimeoutError as error:
        raise System(f"{argv[0]} did not end within {limit_s:g} s") from error
    finally:
        if child.returncode is None:
            child.kill()
            # Killed, so that this is short; it also closes the pipes.
            await asyncio.shield(child.wait())
    return Result(child.returncode or 0, out, err)


async def check(argv: Sequence[str], *, stdin: bytes | None = None, limit_s: float = 60.0) -> bytes:
    """What a program prints. Raises as `run` does, and System with its last words if it fails."""
    result = await run(argv, stdin=stdin, limit_s=limit_s)
    if result.code != 0:
        words = (result.err or result.out).decode(errors="replace").strip().splitlines()
        raise System(f"{argv[0]}: {words[-1] if words else f'exit code {result.code}'}")
    return result.out


@asynccontextmanager
async def running(argv: Sequence[str], *, output: Path | None = None) -> AsyncIterator[Running]:
    """A program that runs while the block does: with our own terminal, or what it prints going to `output`.

    At the end of the block it is asked to end, and killed if it does not within two seconds. Raises NotFound.
    """
    log = None if output is None else output.open("wb")
    try:
        child = await asyncio.create_subprocess_exec(
            *argv, stdin=None if log is None else subprocess.DEVNULL, stdout=log, stderr=log
        )
    except FileNotFoundError as error:
        raise NotFound(f"{argv[0]}: no such program") from error
    finally:
        if log is not None:
            log.close()
    try:
        yield Running(child)
    finally:
        if child.returncode is None:
            child.terminate()
            try:
                async with asyncio.timeout(2):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await asyncio.shield(child.wait())


class Running:
    """A child that has not been waited for."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child

    @property
    def code(self) -> int | None:
        """The exit code, if it has ended."""
        return self._child.returncode

    async def wait(self) -> int:
        """Its exit code, when it has ended."""
        return await self._child.wait()
