"""This file is about the programs that the engine starts: which edition of each lies on this host."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import msgspec

from moby.core.errors import MobyError
from moby.engine.config import EngineConfig
from moby.host.process import run

log = logging.getLogger(__name__)

T = TypeVar("T")

_ANSWER_LIMIT_S = 5.0
_INITS = ("docker-init", "tini-static")


class Edition(msgspec.Struct, frozen=True):
    """What a program calls itself, its version, and the commit that it was built from, if it says so."""

    name: str = ""
    version: str = ""
    commit: str = ""


class Programs:
    """Asks programs for their version, each once until another file takes its place."""

    def __init__(self) -> None:
        self._editions: _Answers[Edition] = _Answers(_ask)
        self._features: _Answers[str] = _Answers(_ask_features)

    async def edition(self, program: str) -> Edition | None:
        """What `PROGRAM --version` says; None if it is not there or says nothing of the kind."""
        return await self._editions.of(program)

    async def features(self, program: str) -> str | None:
        """The document that `PROGRAM features` prints (OCI runtime spec, features.md); None without one."""
        return await self._features.of(program)


class _Answers(Generic[T]):
    """What programs have answered, as long as each is the same file."""

    def __init__(self, ask: Callable[[str], Awaitable[T | None]]) -> None:
        self._ask = ask
        self._known: dict[str, tuple[tuple[int, int, int], T | None]] = {}
        self._asking = asyncio.Lock()

    async def of(self, program: str) -> T | None:
        """The answer; None if there is none, or no program."""
        path = shutil.which(program)
        if path is None:
            return None
        found = os.stat(path)
        file = (found.st_ino, found.st_mtime_ns, found.st_size)
        async with self._asking:
            known = self._known.get(path)
            if known is None or known[0] != file:
                known = self._known[path] = (file, await self._ask(path))
        return known[1]


async def _ask_features(path: str) -> str | None:
    """Without a line in the log if there are none: older runtimes do not know the word."""
    try:
        said = (await run([path, "features"], limit_s=_ANSWER_LIMIT_S)).out
        return msgspec.json.format(said, indent=-1).decode() if said.lstrip().startswith(b"{") else None
    except (MobyError, msgspec.MsgspecError):
        return None


async def _ask(path: str) -> Edition | None:
    try:
        said = (await run([path, "--version"], limit_s=_ANSWER_LIMIT_S)).out
    except MobyError as error:
        log.warning("no version of a program", extra={"program": path, "error": error.message})
        return None
    edition = read_version(said.decode(errors="replace"))
    if edition is None:
        log.warning("no version of a program", extra={"program": path, "said": said[:200]})
    return edition


def read_version(said: str) -> Edition | None:
    """The edition that runc, crun (`crun version 1.8.1`, `commit: f8a0…`) or tini (`tini version 0.19.0 -
    git.de40ad0`) print; None for anything else.
    """
    name = version = commit = ""
    for line in said.splitlines():
        if " version " in line and not version:
            name, _, rest = line.partition(" version ")
            version, _, built = rest.partition(" - ")
            if built.strip().startswith("git."):
                commit = built.strip().removeprefix("git.")
        elif line.startswith("commit:"):
            commit = line.removeprefix("commit:").strip()
    return Edition(name.strip(), version.strip(), commit) if version or commit else None


def init_program(settings: EngineConfig) -> str | None:
    """Where the program lies that reaps a container's orphans (`--init`); None if there is none."""
    names = (settings.init_path,) if settings.init_path else _INITS
    return next((found for name in names if (found := shutil.which(name))), None)
