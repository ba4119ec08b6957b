"""This file is about checkpoints that are only spoken of."""

from __future__ import annotations

from collections.abc import Sequence

from moby.core.errors import System, no_such
from moby.core.types.checkpoints import CheckpointCreateRequest, CheckpointSummary


class FakeCheckpoints:
    """The container `box` has those that are made; others have none."""

    def __init__(self) -> None:
        self.made: dict[str, CheckpointCreateRequest] = {}

    async def create(self, name: str, request: CheckpointCreateRequest) -> None:
        _known(name)
        self.made[request.checkpoint_id] = request

    async def remove(self, name: str, checkpoint: str, directory: str) -> None:
        _known(name)
        if checkpoint not in self.made:
            raise System(f"checkpoint {checkpoint} does not exist for container {name}")
        assert self.made.pop(checkpoint).checkpoint_dir == directory

    async def list(self, name: str, directory: str) -> Sequence[CheckpointSummary]:
        _known(name)
        return [CheckpointSummary(one) for one in sorted(self.made)]


def _known(name: str) -> None:
    if name not in ("box", "b/o/x"):
        raise no_such("container", name)
