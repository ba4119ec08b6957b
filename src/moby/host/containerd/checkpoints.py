"""This file is about having containerd write down what a task's processes are."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.any_pb2 import Any as AnyMessage

from moby.core.descriptor import Descriptor
from moby.host.containerd.client import Containerd
from moby.host.containerd.protos import runc_pb2, tasks_pb2
from moby.host.containerd.tasks import to_its_end

# All memory of all processes is written twice.
_LIMIT_S = 600.0


async def write_checkpoint(
    client: Containerd, container: str, *, leave_running: bool
) -> Sequence[Descriptor]:
    """What is in the content store then: the checkpoint, and what belongs to it.

    Cancelled, this returns when containerd is done.
    """
    options = runc_pb2.CheckpointOptions(exit=not leave_running)
    request = tasks_pb2.CheckpointTaskRequest(
        container_id=container,
        options=AnyMessage(
            type_url="containerd.runc.v1.CheckpointOptions", value=options.SerializeToString()
        ),
    )
    found = await to_its_end(
        client.call("tasks.v1.Tasks/Checkpoint", request, tasks_pb2.CheckpointTaskResponse, limit_s=_LIMIT_S)
    )
    return [Descriptor(one.media_type, one.digest, one.size) for one in found.descriptors]
