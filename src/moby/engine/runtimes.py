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

STOCK = "io.containerd.runc.v2"
# What clients find in a container that names none, as in dockerd, whichever program it is here.
USUAL = "runc"


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
    for name, program in ((USUAL, usual_program()), ("crun", "crun")):
        if path := shutil.which(program or USUAL):
            state = str(root / f"runtime-{program}")
            found[name] = (
                Shim(str(own.program), path, state, own=True) if own else Shim(binary=path, root=state)
            )
    for name, entry in config.runtimes.items():
        found[name] = _added(name, entry, config)
    return found


def stock_shims() -> Mapping[str, str]:
    """containerd's own shims that are here for certain, and the programs that they run."""
    path = shutil.which("runc")
    return {STOCK: path} if path else {}


def _added(name: str, entry: RuntimeEntry, config: EngineConfig) -> Shim:
    if entry.runtime_type and not entry.runtime_type.startswith("io.containerd.runc."):
        return Shim(entry.runtime_type)
    binary = entry.path or str(entry.options.get("BinaryName", ""))
    if entry.runtime_args:
        # Not among what goes with a machine's start: nothing may be run from there on some.
        binary = str(_wrapper(Path(config.data_root, "runtimes", name), binary, entry.runtime_args))
    return Shim(binary=binary, root=str(Path(config.exec_root, f"runtime-{name}")))


def _wrapper(path: Path, binary: str, arguments: tuple[str, ...]) -> Path:
    """A program that calls the runtime with arguments before those of its caller."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec {shlex.join([binary, *arguments])} "$@"\n')
    path.chmod(0o700)
    return path


def check_runtimes(config: EngineConfig) -> None:
    """Raises InvalidParameter for entries that contradict themselves, in dockerd's words."""
    for name, entry in config.runtimes.items():
        if name in (USUAL, STOCK):
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
    """The runtime for containers that name none.

    Raises InvalidParameter if the settings name one that is not there; a shim's name is as good as one.
    Raises NotFound if there is none.
    """
    if name := config.default_runtime:
        if name not in shims and (name == NAME or "." not in name or "/" in name):
            raise InvalidParameter(f"specified default runtime '{name}' does not exist")
        return name
    if not usual_program():
        raise NotFound("no OCI runtime found", hint="install runc or crun, or add one with --add-runtime")
    return USUAL


@cache
def usual_program() -> str:
    """What runs containers when nobody says: crun where it can run, else runc; empty without both."""
    if shutil.which("crun") and not cgroup_facts().hybrid:
        return "crun"
    return "runc" if shutil.which("runc") else ""
