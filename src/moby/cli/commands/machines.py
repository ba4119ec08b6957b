"""This file is about machines that run by themselves: `moby ps`, `logs`, `stop`, `start`, `rm`, `ssh`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moby.core.errors import InvalidParameter, NotFound

if TYPE_CHECKING:
    from moby.machine.runners.states import State

_STOP_LIMIT_S = 30
_PAUSE_S = 0.2


def add(verbs: Any) -> None:
    """The commands and their flags."""
    _command(verbs, "ps", "list the machines that run by themselves, and those that did")
    logs = _command(verbs, "logs", "print what a machine's console showed")
    logs.add_argument("name", metavar="NAME")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until it ends")
    stop = _command(verbs, "stop", "shut machines down")
    stop.add_argument("names", nargs="+", metavar="NAME")
    stop.add_argument(
        "-t", "--time", type=float, default=_STOP_LIMIT_S, metavar="SECONDS",
        help=f"how long it has before it is ended ({_STOP_LIMIT_S})",
    )  # fmt: skip
    start = _command(verbs, "start", "start machines again, as they were run")
    start.add_argument("names", nargs="+", metavar="NAME")
    remove = _command(verbs, "rm", "remove machines, and the disks that are kept with them")
    remove.add_argument("names", nargs="+", metavar="NAME")
    remove.add_argument("-f", "--force", action="store_true", help="those that run as well")
    ssh = _command(verbs, "ssh", "log in to a machine whose port 22 is published")
    ssh.add_argument("name", metavar="NAME")
    ssh.add_argument("-l", "--user", default="root", help="as whom (root)")
    ssh.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to run there instead of a shell"
    )


def _command(verbs: Any, name: str, words: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=words)
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="where machines are kept (~/.local/state/moby/machines)"
    )
    parser.set_defaults(module="machines")
    return parser


def do(chosen: argparse.Namespace) -> str:
    """Do it; what to print."""
    from moby.machine.runners.states import State, default_states

    root = chosen.state or default_states()
    match chosen.verb:
        case "ps":
            return asyncio.run(_listed(root))
        case "logs":
            asyncio.run(_logs(State(root, chosen.name), follow=chosen.follow))
        case "ssh":
            _ssh(State(root, chosen.name), chosen.user, chosen.command)
        case verb:
            return "\n".join(asyncio.run(_each(verb, State(root, name), chosen)) for name in chosen.names)
    return ""


async def _each(verb: str, state: State, chosen: argparse.Namespace) -> str:
    state.load()
    with state.locked():
        if verb == "stop":
            clean = await state.stop(chosen.time)
            return (
                state.name
                if clean
                else f"{state.name}: ended, as it did not shut down within {chosen.time:g} s"
            )
        if verb == "start":
            await state.start()
        else:
            if chosen.force:
                await state.stop(0)
            await state.remove()
    return state.name


async def _listed(root: Path) -> str:
    from moby.machine.runners.states import described, every

    rows = [("NAME", "STATUS", "MACHINE", "PORTS"), *[await described(state) for state in every(root)]]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


async def _logs(state: State, *, follow: bool) -> None:
    state.load()
    if not state.console.exists():
        raise NotFound(f"the machine {state.name} has shown nothing")
    with state.console.open("rb") as file:
        while True:
            runs = follow and await state.pid()
            while chunk := file.read(1 << 16):
                sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
            if not runs:
                return
            await asyncio.sleep(_PAUSE_S)


def _ssh(state: State, user: str, words: list[str]) -> None:
    from moby.machine.native import program

    port = state.load().ssh
    if not port:
        raise InvalidParameter(
            f"port 22 of the machine {state.name} is not published", hint="moby run -d -p 2222:22"
        )
    argv = [
        program("ssh"),
        "-p", str(port),
        # A machine without a disk has other keys each time.
        "-o", f"UserKnownHostsFile={state.folder / 'known_hosts'}",
        "-o", "StrictHostKeyChecking=accept-new",
        f"{user}@127.0.0.1",
        *words,
    ]  # fmt: skip
    os.execv(argv[0], argv)  # noqa: S606 - it becomes ssh, with the terminal as it is
