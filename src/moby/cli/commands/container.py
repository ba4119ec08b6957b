"""This file is about `moby container`: what our engine can do with containers and Docker's cannot."""

from __future__ import annotations

import argparse

import msgspec

from moby.core.types.containers import RemovedContainer

_ROW = "{:<14}{:<22}{:<26}{:<8}{}"


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to a parser of `moby`."""
    command = verbs.add_parser("container", help="what docker's own command has no words for")
    command.add_argument("-H", "--host", default="", help="the engine (default: as for the docker command)")
    parts = command.add_subparsers(dest="part", required=True, metavar="COMMAND")
    history = parts.add_parser("history", help="show containers that were removed in the last hour")
    history.add_argument("container", nargs="?", default="", help="a name, an ID or its beginning")
    history.add_argument("--json", action="store_true", help="print all that is known of them")


def do(chosen: argparse.Namespace) -> str:
    """What the command prints. Raises MobyError."""
    from moby.cli.engine_client import ask

    answer = ask(chosen.host, "GET", "/containers/removed", {"name": chosen.container})
    if chosen.json:
        return msgspec.json.format(answer, indent=4).decode()
    return "\n".join(_rows(msgspec.json.decode(answer, type=list[RemovedContainer])))


def _rows(found: list[RemovedContainer]) -> list[str]:
    rows = [_ROW.format("CONTAINER ID", "NAME", "IMAGE", "EXIT", "REMOVED")]
    for one in found:
        code = str(one.state.exit_code) if one.state is not None else ""
        image = one.config.image if one.config is not None else ""
        rows.append(_ROW.format(one.id[:12], one.name.removeprefix("/"), image, code, one.removed_at))
    return rows
