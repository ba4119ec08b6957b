"""This file is about `docker top`: what ps(1) of the host says of a container's processes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from moby.core.errors import Conflict, System
from moby.core.runtime import Runtime
from moby.core.types.containers import ContainerTopResponse
from moby.engine.containers.change import running
from moby.engine.containers.shelf import Shelf
from moby.host.process import run

_DEFAULT = "-ef"
_RENAMED = re.compile(r"\s+(\S*)=\s*(PID\S*)", re.ASCII)


class Top:
    """Lists processes."""

    def __init__(self, shelf: Shelf, runtime: Runtime) -> None:
        self._shelf = shelf
        self._runtime = runtime

    async def top(self, name: str, ps_args: str) -> ContainerTopResponse:
        """Raises NotFound, Conflict if it does not run, System in the words of ps."""
        arguments = ps_args or _DEFAULT
        for title, renamed in _RENAMED.findall(arguments):
            if title != "pid":
                raise System(f'specifying "{title}={renamed}" is not allowed')
        container = self._shelf.find(name)
        running(container)
        if container.record.state.restarting:
            raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
        pids = await self._runtime.pids(container.id)
        found = parse(await _ps(arguments.split(" "), pids), frozenset(pids))
        self._shelf.publish(container, "top")
        return found


async def _ps(arguments: Sequence[str], pids: Sequence[int]) -> str:
    result = await run(["ps", *arguments, f"-q{','.join(map(str, pids))}"])
    if result.code != 0:
        # Some options of ps cannot be used together with this one.
        result = await run(["ps", *arguments])
    if result.code != 0:
        words = result.err.decode(errors="replace").strip().splitlines()
        raise System(f"ps: {words[0] if words else f'exit status {result.code}'}")
    return result.out.decode(errors="replace")


def parse(text: str, pids: frozenset[int]) -> ContainerTopResponse:
    """The lines of ps that are about these processes, their threads (`-` for a PID) with them."""
    lines = text.split("\n")
    titles = _fields(lines[0])
    if "PID" not in titles:
        raise System("Couldn't find PID field in ps output")
    column, processes, belongs = titles.index("PID"), [], False
    for line in lines[1:]:
        if not line:
            continue
        fields = _fields(line)
        if len(fields) <= column:
            continue
        pid = fields[column]
        if pid != "-":
            if not pid.isdigit():
                raise System(f"Unexpected pid '{pid}': strconv.Atoi: parsing \"{pid}\": invalid syntax")
            belongs = int(pid) in pids
        if belongs:
            last = len(titles) - 1
            processes.append([*fields[:last], " ".join(fields[last:])])
    return ContainerTopResponse(processes, titles)


def _fields(line: str) -> list[str]:
    """Split at ASCII white space alone: a command may hold any other."""
    return [field for field in re.split(r"[\t\n\f\r ]+", line) if field]
