"""This file is about `moby container`: what our engine can do with containers and Docker's cannot."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote

import msgspec

from moby.cli.container_update import add_options, changes
from moby.core.types.containers import ContainerInspectResponse, RemovedContainer

_ROW = "{:<14}{:<22}{:<26}{:<8}{}"


def add(verbs: Any) -> None:
    """The command and those below it."""
    parser = verbs.add_parser("container", help="what docker's own command has no words for")
    parser.add_argument("-H", "--host", default="", help="the engine (default: as for the docker command)")
    below = parser.add_subparsers(dest="below", required=True, metavar="COMMAND")
    history = below.add_parser("history", help="show containers that were removed in the last hour")
    history.add_argument("container", nargs="?", default="", help="a name, an ID or its beginning")
    history.add_argument("--json", action="store_true", help="print all that is known of them")
    empty = below.add_parser("empty-log", help="forget a container's log, also while it is written")
    empty.add_argument("container", help="a name, an ID or its beginning")
    add_options(below.add_parser("update", help="change ports, labels and the log of a container"))


def do(chosen: argparse.Namespace) -> str:
    """Do it; what to print."""
    from moby.cli.engine_client import ask

    if chosen.below == "history":
        return _history(ask(chosen.host, "GET", "/containers/removed", {"name": chosen.container}), chosen)
    name = quote(chosen.container, safe="")
    if chosen.below == "empty-log":
        ask(chosen.host, "DELETE", f"/containers/{name}/logs")
        return str(chosen.container)
    found = msgspec.json.decode(
        ask(chosen.host, "GET", f"/containers/{name}/json"), type=ContainerInspectResponse
    )
    ask(chosen.host, "POST", f"/containers/{found.id}/update", body=changes(found, chosen))
    return str(chosen.container)


def _history(answer: bytes, chosen: argparse.Namespace) -> str:
    if chosen.json:
        return msgspec.json.format(answer, indent=4).decode()
    rows = [_ROW.format("CONTAINER ID", "NAME", "IMAGE", "EXIT", "REMOVED")]
    for one in msgspec.json.decode(answer, type=list[RemovedContainer]):
        code = str(one.state.exit_code) if one.state else ""
        image = one.config.image if one.config else ""
        rows.append(_ROW.format(one.id[:12], one.name.removeprefix("/"), image, code, one.removed_at))
    return "\n".join(rows)
