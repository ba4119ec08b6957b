"""This file is about what an exec instance runs: its user, its environment, its process for the OCI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from moby.core.config import ConfigSource
from moby.core.errors import Conflict, System
from moby.core.types.execs import ExecCreateRequest
from moby.engine.config import EngineConfig
from moby.engine.containers.accounts import read_accounts
from moby.engine.containers.record import Record
from moby.host.threads import blocking
from moby.runtime.spec import SpecInput, User, build_process, resolve_user


async def container_user(record: Record, text: str) -> User:
    """A user of a running container, by its own passwd and group. Raises InvalidParameter."""
    try:
        passwd, group = await blocking(read_accounts, Path(f"/proc/{record.state.pid}/root"))
    except OSError as error:
        raise Conflict(f"container {record.id} is not running") from error
    return resolve_user(text, passwd, group, record.host_config.group_add or ())


async def exec_process(
    record: Record,
    request: ExecCreateRequest,
    console_size: tuple[int, int] | None,
    config: ConfigSource[EngineConfig],
) -> Mapping[str, Any]:
    """The process object: the container's own settings, with what the request says instead. Raises System."""
    settings = config.current
    if (directory := request.working_dir) and not directory.startswith("/"):
        # runc's words; crun takes it from the root directory.
        raise System("OCI runtime exec failed: exec failed: Cwd must be an absolute path: unknown")
    own = msgspec.structs.replace(
        record.config,
        user=request.user or record.config.user,
        env=_merged(record.config.env or (), request.env),
        working_dir=request.working_dir or record.config.working_dir,
        tty=request.tty,
    )
    host = msgspec.structs.replace(
        record.host_config, console_size=list(console_size or request.console_size or (0, 0))
    )
    return build_process(
        SpecInput(
            id=record.id,
            args=request.cmd,
            config=own,
            host=host,
            user=await container_user(record, own.user),
            network=None,
            default_ulimits=list(settings.default_ulimits.values()),
            no_new_privileges=settings.no_new_privileges,
        ),
        privileged=request.privileged,
    )


def _merged(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Later ones win; a name without `=` takes a variable away."""
    found: dict[str, str | None] = {}
    for variable in (*ours, *theirs):
        name, equals, _ = variable.partition("=")
        found[name] = variable if equals else None
    return [variable for variable in found.values() if variable is not None]
