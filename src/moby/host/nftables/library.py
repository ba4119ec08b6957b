"""This file is about libnftables: commands as text, each call one transaction, no process started."""

from __future__ import annotations

import ctypes
import re
import threading

from moby.core.errors import Conflict, Forbidden, InvalidParameter, MobyError, NotFound, System, Unavailable

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
    """Runs nft commands; for one thread after the other. The library is loaded when first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._library: ctypes.CDLL | None = None
        self._context = ctypes.c_void_p()

    def run(self, commands: str, *, handles: bool = False) -> str:
        """All of `commands` or nothing; what they print, with the rules' `handles` if asked for.

        Blocks, 0.1 to 0.3 ms for a change of elements.

        Raises NotFound and Conflict for objects, InvalidParameter for the text, Unavailable without library.
        """
        with self._lock:
            library = self._library or self._load()
            library.nft_ctx_output_set_flags(self._context, _HANDLES if handles else 0)
            code = library.nft_run_cmd_from_buffer(self._context, commands.encode())
            said: bytes = library.nft_ctx_get_error_buffer(self._context) or b""
            output: bytes = library.nft_ctx_get_output_buffer(self._context) or b""
        if code != 0:
            raise _error(said.decode(errors="replace"))
        return output.decode(errors="replace")

    def close(self) -> None:
        """Free what is bound to the network namespace that the first command ran in."""
        with self._lock:
            if self._library is not None:
                self._library.nft_ctx_free(self._context)
                self._library = None

    def _load(self) -> ctypes.CDLL:
        try:
            library = ctypes.CDLL("libnftables.so.1")
        except OSError as error:
            raise Unavailable("the firewall needs libnftables.so.1", hint="install nftables") from error
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
        self._library = library
        return library


def _error(said: str) -> MobyError:
    lines = said.strip().splitlines() or ["unknown error"]
    words = _PLACE.sub(r"\1", lines[0]).removeprefix("Error: ")
    kind = next((kind for text, kind in _WORDS.items() if text in said), System)
    return kind(f"nftables: {words}", hint=said.strip())
