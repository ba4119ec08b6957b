"""This file is about kernel settings below /proc/sys, as the calling thread's namespaces see them."""

from __future__ import annotations

from pathlib import Path

from moby.core.errors import InvalidParameter, NotFound
from moby.host.files import translated

_ROOT = Path("/proc/sys")


def read(name: str) -> str | None:
    """A setting by its dotted name, or by path where a part has dots in it; None if this kernel has none."""
    try:
        return _path(name).read_text().strip()
    except OSError:
        return None


def write(name: str, value: str) -> None:
    """Raises NotFound if this kernel has no such setting, InvalidParameter for a value it refuses."""
    try:
        with _path(name).open("wb", buffering=0) as file:
            file.write(value.encode())
    except OSError as error:
        raise translated(error, f"set sysctl {name}={value}") from error


def write_if_there(name: str, value: str) -> None:
    """Like `write`, but a kernel without the setting is left without."""
    try:
        write(name, value)
    except NotFound:
        return


def _path(name: str) -> Path:
    path = name if "/" in name else name.replace(".", "/")
    if not path or ".." in path.split("/"):
        raise InvalidParameter(f"invalid sysctl name: {name!r}")
    return _ROOT / path
