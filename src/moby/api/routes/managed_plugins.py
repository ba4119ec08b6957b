"""This file is about plugins that an engine installs itself: there are none, and clients are told so.

Tools that show an engine ask for the list; to install one is not supported. Plugins that listen on a socket
are no matter of these operations.
"""

from __future__ import annotations

from collections.abc import Sequence

from moby.api.request import Request
from moby.api.responses import json_response
from moby.api.routing import Route
from moby.api.serving import StreamResponse
from moby.core.errors import NotFound

_ONE = (
    "PluginInspect", "PluginDelete", "PluginEnable", "PluginDisable",
    "PluginUpgrade", "PluginPush", "PluginSet",
)  # fmt: skip


class ManagedPluginRoutes:
    """The list of none, and what is done with one of them."""

    def routes(self) -> Sequence[Route]:
        """What is served here."""
        said = "says that there are none"
        return [Route("PluginList", _list, partial=said), *(Route(name, _one, partial=said) for name in _ONE)]


async def _list(request: Request) -> StreamResponse:
    filters = request.filters()
    filters.check(("enabled", "capability"))
    filters.flag("enabled", default=False)
    return json_response([])


async def _one(request: Request) -> StreamResponse:
    raise NotFound(f'plugin "{request.name}" not found')
