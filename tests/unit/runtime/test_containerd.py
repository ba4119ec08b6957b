from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.core.runtime import Stdio, TaskRequest
from moby.host.containerd.client import Containerd
from moby.host.containerd.tasks import Shim
from moby.runtime.containerd import ContainerdRuntime


async def test_an_unknown_runtime_is_refused_before_anything_is_asked() -> None:
    runtime = ContainerdRuntime(Containerd("/nowhere"), {"runc": Shim()}, "runc")
    request = TaskRequest("a", {}, (), Stdio(), runtime="other")
    with pytest.raises(InvalidParameter, match=r"^unknown or invalid runtime name: other$"):
        await runtime.create(request)
