"""This file is about what an engine that is in no swarm says of swarms, in the words of dockerd.

Clients ask and expect to hear that; to begin a swarm or to join one is not supported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from moby.api.operations import OPERATIONS
from moby.api.request import Request
from moby.api.routing import Route
from moby.core.errors import Unavailable

_SUBJECTS = ("Swarm", "Node", "Service", "Task", "Secret", "Config")
_UNSUPPORTED = frozenset({"SwarmInit", "SwarmJoin"})
_NO_SWARM = "This node is not part of a swarm"
_NO_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node '
    "to swarm and try again."
)


class SwarmRoutes:
    """Everything about swarms but the beginning of one."""

    def routes(self) -> Sequence[Route]:
        """The routes."""
        return [
            Route(name, _leave if name == "SwarmLeave" else _manage, partial="says that there is no swarm")
            for name in OPERATIONS
            if name.startswith(_SUBJECTS) and name not in _UNSUPPORTED
        ]


async def _leave(request: Request) -> NoReturn:
    raise Unavailable(_NO_SWARM)


async def _manage(request: Request) -> NoReturn:
    raise Unavailable(_NO_MANAGER)
