"""This file is about the packet filter as others see it: what is said to it directly, and nft's commands."""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Iterable

from moby.core.errors import Conflict, Forbidden, InvalidParameter, MobyError, NotFound, System, Unavailable
from moby.host.netlink import Request
from moby.host.nftables.direct import Direct

_WORDS: dict[str, type[MobyError]] = {
    "No such file or directory": NotFound,
    "File exists": Conflict,
    "Device or resource busy": Conflict,
    "Operation not permitted": Forbidden,
    "syntax error": InvalidParameter,
}
_HANDLES = 1 << 3
_PLACE = re.compile(r"^.*?: (Error: .*)$")


class Nftables:
    """The packet filter of the namespace that is first asked in; for one thread after the other.

    What we have is made and changed directly. libnftables reads commands as text, for what others have; it
    first looks at every table of the host, and is loaded when first needed. No process is started.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._direct: Direct | None = None
        self._library: ctypes.CDLL | None = None
        self._context = ctypes.c_void_p()

    def run(self, commands: str, *, handles: bool = False) -> str:
        """All of `commands` or nothing; what they print, with the rules' `handles` if asked for. Blocks.

        Raises NotFound and Conflict for objects, InvalidParameter for the text, Unavailable without library.
        """
        with self._lock:
            self._opened()
            library = self._library = self._library or self._load()
            library.nft_ctx_output_set_flags(self._context, _HANDLES if handles else 0)
            code = library.nft_run_cmd_from_buffer(self._context, commands.encode())
            said: bytes = library.nft_ctx_get_error_buffer(self._context) or b""
            output: bytes = library.nft_ctx_get_output_buffer(self._context) or b""
        if code != 0:
            raise _error(said.decode(errors="replace"))
        return output.decode(errors="replace")

    def has_table(self, family: str, table: str) -> bool:
        """Is there such a table?"""
        with self._lock:
            return self._opened().has_table(family, table)

    def change(self, requests: Iterable[Request]) -> None:
        """All of it or nothing, in 0.1 to 1 ms. Raises as `Direct.change` does."""
        with self._lock:
            self._opened().change(list(requests))

    def delete_unused(self, family: str, table: str, name: str) -> None:
        """See `Direct.delete_unused`."""
        with self._lock:
            self._opened().delete_unused(family, table, name)

    def close(self) -> None:
        """Free what is bound to the network namespace."""
        with self._lock:
            if self._direct is not None:
                self._direct.close()
                self._direct = None
            if self._library is not None:
                self._library.nft_ctx_free(self._context)
                self._library = None

    def _opened(self) -> Direct:
        self._direct = self._direct or Direct()
        return self._direct

    def _load(self) -> ctypes.CDLL:
        try:
            library = ctypes.CDLL("libnftables.so.1")
        except OSError as error:
            raise Unavailable(
                "the host's own filter is changed by libnftables.so.1, which is missing",
                hint="install nftables",
            ) from error
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_new.argtypes = [ctypes.c_uint32]
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        library.nft_ctx_free.argtypes = [ctypes.c_void_p]
        library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        for name in ("nft_ctx_get_error_buffer", "nft_ctx_get_output_buffer"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
            getattr(library, name).restype = ctypes.c_char_p
        for name in ("nft_ctx_buffer_error", "nft_ctx_buffer_output"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
        context = library.nft_ctx_new(0)
        if not context:
            raise System("libnftables gives no context")
        self._context = ctypes.c_void_p(context)
        library.nft_ctx_buffer_error(self._context)
        library.nft_ctx_buffer_output(self._context)
        return library


def _error(said: str) -> MobyError:
    lines = said.strip().splitlines() or ["unknown error"]
    words = _PLACE.sub(r"\1", lines[0]).removeprefix("Error: ")
    kind = next((kind for text, kind in _WORDS.items() if text in said), System)
    return kind(f"nftables: {words}", hint=said.strip())
