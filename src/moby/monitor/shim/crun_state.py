"""This file is about what crun keeps of a container, used directly where running it costs more than it does.

`crun start` lets a container go on that waits at a FIFO; `crun delete` of one that has ended removes its
cgroups and what it kept. Each is a program of a dozen libraries that does a few calls. Whatever is not as it
is known here, hooks among it, is left to crun itself.
"""

from __future__ import annotations

import contextlib
import errno
import os

import msgspec

_FIFO = "exec.fifo"
_KNOWN_FILES = frozenset({"status", "config.json", "seccomp.bpf"})
_CGROUPS = "/sys/fs/cgroup"


class _Hooks(msgspec.Struct):
    poststart: list[msgspec.Raw] = []
    poststop: list[msgspec.Raw] = []


class _Linux(msgspec.Struct):
    intel_rdt: msgspec.Raw | None = msgspec.field(default=None, name="intelRdt")


class _Config(msgspec.Struct):
    """Of a bundle's configuration, what makes the end or the start more than this."""

    hooks: _Hooks | None = None
    linux: _Linux | None = None


class _Status(msgspec.Struct, rename="kebab"):
    cgroup_path: str
    systemd_cgroup: bool


_config = msgspec.json.Decoder(_Config)
_status = msgspec.json.Decoder(_Status)


def begin(state: str) -> bool:
    """Let the container run that waits there; False if that is for crun to do."""
    try:
        config = _read_config(state)
        if config.hooks is not None and config.hooks.poststart:
            return False
        fifo = os.open(os.path.join(state, _FIFO), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, msgspec.MsgspecError):
        return False
    try:
        os.unlink(os.path.join(state, _FIFO))
        return os.write(fifo, b"\0") == 1
    except OSError:
        return False
    finally:
        os.close(fifo)


def remove(state: str) -> bool:
    """Free what one that has ended has left; False if (some of) that is for crun to do."""
    try:
        config, status = _read_config(state), _status.decode(_read(os.path.join(state, "status")))
        if (config.hooks is not None and config.hooks.poststop) or not _KNOWN_FILES.issuperset(
            os.listdir(state)
        ):
            return False
        if status.systemd_cgroup or (config.linux is not None and config.linux.intel_rdt is not None):
            return False
        _remove_cgroups(status.cgroup_path)
        for name in _KNOWN_FILES:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(state, name))
        os.rmdir(state)
    except (OSError, msgspec.MsgspecError):
        return False
    return True


def _remove_cgroups(path: str) -> None:
    """In every hierarchy there is. Raises OSError, EBUSY if it has cgroups of its own."""
    if not path.startswith("/") or ".." in path.split("/") or not path.strip("/"):
        raise OSError(errno.EINVAL, "no cgroup of a container", path)
    unified = os.path.exists(f"{_CGROUPS}/cgroup.controllers")
    for root in [_CGROUPS] if unified else [f"{_CGROUPS}/{name}" for name in os.listdir(_CGROUPS)]:
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(root + path)


def _read_config(state: str) -> _Config:
    return _config.decode(_read(os.path.join(state, "config.json")))


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()
