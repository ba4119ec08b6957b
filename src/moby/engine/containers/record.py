"""This file is about what is stored of a container: everything that a restart must find again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from moby.core.descriptor import Descriptor
from moby.core.types.containers import (
    ContainerConfig,
    EndpointSettings,
    HostConfig,
    LogConfig,
    MountPoint,
    PortBinding,
)

NEVER = "0001-01-01T00:00:00Z"


def timestamp(moment: datetime | None = None) -> str:
    """A moment (now by default) as the API writes it: RFC 3339 in UTC, without trailing zeros."""
    moment = (moment or datetime.now(UTC)).astimezone(UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{text}{fraction}Z"


class State(msgspec.Struct):
    """Where a container is in its life; `running` stays true while paused, as in the Engine API."""

    running: bool = False
    paused: bool = False
    restarting: bool = False
    oom_killed: bool = False
    dead: bool = False
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    started_at: str = NEVER
    finished_at: str = NEVER

    @property
    def status(self) -> str:
        """One word for it (Engine API, `ContainerState.Status`)."""
        if self.running:
            return "paused" if self.paused else "restarting" if self.restarting else "running"
        if self.dead:
            return "dead"
        return "created" if self.started_at == NEVER else "exited"


class Mounted(msgspec.Struct):
    """A mount of a container: what the API shows, and what only we need to make it again."""

    point: MountPoint
    volume: str = ""
    anonymous: bool = False
    subpath: str = ""
    no_copy: bool = False
    create_source: bool = False
    tmpfs_options: Sequence[str] = ()
    recursive_read_only: bool = False
    copied: bool = False
    non_recursive: bool = False
    shallow_read_only: bool = False
    in_root: bool = False
    snapshot: str = ""


class Record(msgspec.Struct):
    """A container as it is stored."""

    id: str
    name: str
    created: str
    config: ContainerConfig
    host_config: HostConfig
    image: str
    chain: str
    platform: str
    path: str
    args: Sequence[str]
    state: State = msgspec.field(default_factory=State)
    manifest: Descriptor | None = None
    image_name: str = ""
    networks: dict[str, EndpointSettings] = msgspec.field(default_factory=dict)
    sandbox_id: str = ""
    sandbox_key: str = ""
    ports: dict[str, list[PortBinding] | None] = msgspec.field(default_factory=dict)
    mounts: list[Mounted] = msgspec.field(default_factory=list)
    restart_count: int = 0
    removing: bool = False
    manually_stopped: bool = False
    started_before: bool = False
    links: dict[str, str] = msgspec.field(default_factory=dict)
    macs: dict[str, str] = msgspec.field(default_factory=dict)
    # Where its log is since its last start; the settings may have been changed after that.
    kept_log: LogConfig | None = None

    @property
    def log_config(self) -> LogConfig:
        """How its log is kept."""
        return self.kept_log or self.host_config.log_config
