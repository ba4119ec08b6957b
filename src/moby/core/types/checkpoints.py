"""This file is about checkpoints of containers, as dockerd's experimental part of the API has them."""

from __future__ import annotations

import msgspec

from moby.core.types.wire import Wire, always


class CheckpointCreateRequest(Wire):
    """What to write, and where; without `exit` the container goes on."""

    checkpoint_id: str = msgspec.field(default="", name="CheckpointID")
    checkpoint_dir: str = ""
    exit: bool = False


class CheckpointSummary(Wire):
    """One of a container's checkpoints."""

    name: str = always("")
