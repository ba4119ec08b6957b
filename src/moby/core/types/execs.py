"""This file is about exec instances in the Engine API."""

from __future__ import annotations

import msgspec

from moby.core.types.wire import UInt32, Wire, always, always_list


class ExecCreateRequest(Wire):
    """A command to run in a container; `console_size` is height and width in characters."""

    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    console_size: tuple[UInt32, UInt32] | None = None
    detach_keys: str = ""
    tty: bool = False
    env: list[str] = msgspec.field(default_factory=list)
    cmd: list[str] = msgspec.field(default_factory=list)
    privileged: bool = False
    user: str = ""
    working_dir: str = ""


class ExecCreateResponse(Wire):
    """The name of the new instance."""

    id: str = always("")


class ExecStartRequest(Wire):
    """How to start it; `tty` says what the client expects of the stream."""

    detach: bool = False
    tty: bool = False
    console_size: tuple[UInt32, UInt32] | None = None


class ExecProcess(Wire, rename="lower"):
    """What an instance runs."""

    tty: bool = always(False)
    entrypoint: str = always("")
    arguments: list[str] = always_list()
    privileged: bool = always(False)
    user: str = ""


class ExecInspectResponse(Wire):
    """An instance; `exit_code` is null until it has ended, `detach_keys` base64."""

    id: str = always("", name="ID")
    running: bool = always(False)
    exit_code: int | None = always(None)
    process_config: ExecProcess | None = always(None)
    open_stdin: bool = always(False)
    open_stderr: bool = always(False)
    open_stdout: bool = always(False)
    can_remove: bool = always(False)
    container_id: str = always("", name="ContainerID")
    detach_keys: bytes = always(b"")
    pid: int = always(0)
