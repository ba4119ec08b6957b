"""This file is about aiohttp's parts that serve: `moby.api` takes them from here alone.

aiohttp's package imports its client as well, and `aiohttp.web` a framework of applications: together a third
of the time and memory of the whole. So the package is there empty at first, and is filled when somebody asks
it for something else, as the clients of registries and plugins do.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from importlib.machinery import PathFinder
from types import ModuleType

_PACKAGE = "aiohttp"


def _empty_until_asked() -> ModuleType:
    """The package without what its own page imports; asked for a name, it imports a part or becomes whole."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.loader is None:
        raise ImportError(f"no package named {_PACKAGE}", name=_PACKAGE)
    loader = spec.loader
    package = importlib.util.module_from_spec(spec)
    # Shown in headers `Server` and `User-Agent` alone; ours say who we are.
    package.__dict__["__version__"] = "0"
    lock = threading.RLock()
    filling = False

    def asked(name: str) -> object:
        nonlocal filling
        # A part is imported without the lock: whoever fills the package may wait for it.
        part = f"{_PACKAGE}.{name}"
        if not name.startswith("__") and PathFinder.find_spec(part, package.__path__) is not None:
            return importlib.import_module(part)
        with lock:
            if not filling and not name.startswith("__"):
                filling = True
                try:
                    loader.exec_module(package)
                except BaseException:
                    filling = False
                    raise
        try:
            return package.__dict__[name]
        except KeyError:
            raise AttributeError(f"module {_PACKAGE!r} has no attribute {name!r}", name=name) from None

    package.__dict__["__getattr__"] = asked
    return package


if _PACKAGE not in sys.modules:
    sys.modules[_PACKAGE] = _empty_until_asked()

from aiohttp import hdrs  # noqa: E402
from aiohttp.helpers import RequestKey  # noqa: E402
from aiohttp.http_websocket import WSMsgType  # noqa: E402
from aiohttp.http_writer import HttpVersion11  # noqa: E402
from aiohttp.streams import StreamReader  # noqa: E402
from aiohttp.web_protocol import RequestHandler, RequestPayloadError  # noqa: E402
from aiohttp.web_request import BaseRequest  # noqa: E402
from aiohttp.web_response import Response, StreamResponse  # noqa: E402
from aiohttp.web_server import Server  # noqa: E402
from aiohttp.web_ws import WebSocketResponse  # noqa: E402

__all__ = [
    "BaseRequest",
    "HttpVersion11",
    "RequestHandler",
    "RequestKey",
    "RequestPayloadError",
    "Response",
    "Server",
    "StreamReader",
    "StreamResponse",
    "WSMsgType",
    "WebSocketResponse",
    "hdrs",
]
