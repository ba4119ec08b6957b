"""This file is about OCI runtimes: which there are, and which one runs a container that names none."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from moby.core.errors import InvalidParameter, NotFound
from moby.engine.config import EngineConfig, RuntimeEntry
from moby.host.cgroups import cgroup_facts
from moby.host.containerd.tasks import Shim
from moby.runtime.own_shim import NAME, OwnShim

_FOUND = ("runc", "crun")


def own_shim(config: EngineConfig) -> OwnShim | None:
    """The program by which monitors are shims; none if the exec root's path is too long for their sockets."""
    own = OwnShim(Path(config.data_root, "shims"), Path(config.exec_root, "shims"))
    return own if own.usable else None


def oci_runtimes(config: EngineConfig) -> Mapping[str, Shim]:
    """The runtimes there are, by name: the ones found on this host, and the ones that the settings add.

    The former are run by monitors, the latter by the shim for runc, which asks less of a runtime.
    """
    root, own = Path(config.exec_root), own_shim(config)
    found = {}
    for name in _FOUND:
        if path := shutil.which(name):
            state = str(root / f"runtime-{name}")
            found[name] = (
                Shim(str(own.program), path, state, own=True) if own else Shim(binary=path, root=state)
            )
    for name, entry in config.runtimes.items():
        found[name] = _added(name, entry, root)
    return found


def _added(name: str, entry: RuntimeEntry, root: Path) -> Shim:
    if entry.runtime_type and not entry.runtime_type.startswith("io.containerd.runc."):
        return Shim(entry.runtime_type)
    binary = entry.path or str(entry.options.get("BinaryName", ""))
    if entry.runtime_args:
        binary = str(_wrapper(root / "runtimes" / name, binary, entry.runtime_args))
    return Shim(binary=binary, root=str(root / f"runtime-{name}"))


def _wrapper(path: Path, binary: str, arguments: tuple[str, ...]) -> Path:
    """A program that calls the runtime with arguments before those of its caller."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec {shlex.join([binary, *arguments])} "$@"\n')
    path.chmod(0o700)
    return path


def check_runtimes(config: EngineConfig) -> None:
    """Raises InvalidParameter for entries that contradict themselves, in dockerd's words."""
    for name, entry in config.runtimes.items():
        if name in ("runc", "io.containerd.runc.v2"):
            raise InvalidParameter(f"runtime name '{name}' is reserved")
        if entry.runtime_type:
            if entry.path:
                raise InvalidParameter(
                    f"runtime {name}: cannot configure both path and runtimeType for the same runtime"
                )
            if entry.runtime_args:
                raise InvalidParameter(f"runtime {name}: args cannot be used with a runtimeType runtime")
        elif not entry.path:
            raise InvalidParameter(f"runtime {name}: either a runtimeType or a path must be configured")
        elif entry.options:
            raise InvalidParameter(f"runtime {name}: options cannot be used with a path runtime")


def default_runtime(config: EngineConfig, shims: Mapping[str, Shim]) -> str:
    """The runtime for containers that name none: crun where it can run, else runc.

    Raises InvalidParameter if the settings name one that is not there; a shim's name is as good as one.
    """
    if name := config.default_runtime:
        if name not in shims and (name == NAME or "." not in name or "/" in name):
            raise InvalidParameter(f"specified default runtime '{name}' does not exist")
        return name
    return usual_runtime()


@cache
def usual_runtime() -> str:
    """What runs containers when nobody says. Raises NotFound if there is none."""
    if shutil.which("crun") and not cgroup_facts().hybrid:
        return "crun"
    if shutil.which("runc"):
        return "runc"
    raise NotFound("no OCI runtime found", hint="install runc or crun, or add one with --add-runtime")
