"""Devices that vendors describe in files, and runtimes that the daemon's settings add."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine

pytestmark = pytest.mark.skipif(KIND == "dockerd", reason="newer than 20.10")


@pytest.mark.docker28
def test_a_described_device_is_there(make_engine: Callable[..., Engine], tmp_path: Path) -> None:
    (tmp_path / "cdi").mkdir()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/version").write_text("7")
    (tmp_path / "cdi/vendor.json").write_text(
        json.dumps(
            {
                "cdiVersion": "0.6.0",
                "kind": "vendor.com/dev",
                "devices": [
                    {
                        "name": "one",
                        "containerEdits": {
                            "env": ["DEV=one"],
                            "deviceNodes": [{"path": "/dev/one", "hostPath": "/dev/zero"}],
                            "mounts": [
                                {
                                    "hostPath": f"{tmp_path}/lib",
                                    "containerPath": "/lib/dev",
                                    "options": ["ro", "bind"],
                                }
                            ],
                        },
                    }
                ],
            }
        )
    )
    engine = make_engine(f"--cdi-spec-dir={tmp_path}/cdi")
    assert "vendor.com/dev=one" in engine.ok("info", "-f", "{{json .DiscoveredDevices}}")
    script = "echo $DEV; head -c1 /dev/one | wc -c; cat /lib/dev/version"
    out = engine.ok("run", "--rm", "--device", "vendor.com/dev=one", "busybox", "sh", "-c", script)
    assert out.split() == ["one", "1", "7"]
    message = engine.fails("run", "--device", "vendor.com/dev=two", "busybox", code=125)
    assert "CDI device injection failed: unresolvable CDI devices vendor.com/dev=two" in message


def test_an_added_runtime(make_engine: Callable[..., Engine], tmp_path: Path) -> None:
    runtime = tmp_path / "runtime"
    runtime.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nexec runc "$@"\n')
    runtime.chmod(0o755)
    engine = make_engine(f"--add-runtime=mine={runtime}", "--default-runtime=mine")
    assert engine.ok("run", "--rm", "busybox", "echo", "ran") == "ran"
    assert "create" in (tmp_path / "calls").read_text()
    assert engine.ok("inspect", "-f", "{{.HostConfig.Runtime}}", engine.ok("create", "busybox")) == "mine"
    assert engine.ok("run", "--rm", "--runtime", "runc", "busybox", "echo", "usual") == "usual"
    for name in ("unheard", "/usr/sbin/runc"):
        message = engine.fails("create", "--runtime", name, "busybox")
        assert f"unknown or invalid runtime name: {name}" in message
