"""This file is about what clients ask of a commit (Engine API, `ImageCommit`)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from moby.core.types.containers import ContainerConfig
from moby.core.types.wire import Wire, always


class CommitOptions(msgspec.Struct, frozen=True):
    """What to make of a container; without a `config` it is the container's own."""

    repository: str = ""
    tag: str = ""
    comment: str = ""
    author: str = ""
    pause: bool = True
    changes: Sequence[str] = ()
    config: ContainerConfig | None = None


class CommitResponse(Wire):
    """The ID of the new image."""

    id: str = always("")
