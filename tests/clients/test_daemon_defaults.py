"""What the daemon's settings say for every container that says nothing else."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from tests.clients.conftest import KIND
from tests.clients.engine import Engine


def test_settings_are_every_containers_defaults(make_engine: Callable[..., Engine], tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": '
        '[{"names": ["chmod", "fchmod", "fchmodat", "fchmodat2"], "action": "SCMP_ACT_ERRNO"}]}'
    )
    engine = make_engine(
        f"--seccomp-profile={profile}", "--no-new-privileges", "--default-shm-size=3m",
        "--default-ipc-mode=shareable", "--default-cgroupns-mode=private", "--default-ulimit=nofile=99:100",
    )  # fmt: skip
    script = "chmod 700 /etc; grep NoNewPrivs /proc/self/status; ulimit -n; df -k /dev/shm | tail -1; readlink /proc/self/ns/cgroup"
    result = engine.docker("run", "--rm", "busybox", "sh", "-c", script)
    assert "Operation not permitted" in result.err
    privileges, limit, memory, cgroups = result.out.splitlines()
    assert privileges.split()[1] == "1"
    assert limit == "99"
    assert memory.split()[1] == "3072"
    assert cgroups != os.readlink("/proc/self/ns/cgroup")
    donor = engine.ok("run", "-d", "busybox", "sleep", "60")
    engine.ok("run", "--rm", "--ipc", f"container:{donor}", "busybox", "touch", "/dev/shm/x")
    assert engine.ok("exec", donor, "ls", "/dev/shm") == "x"
    limits = engine.ok("inspect", "-f", "{{json .HostConfig.Ulimits}}", donor)
    assert json.loads(limits) == [{"Name": "nofile", "Soft": 99, "Hard": 100}]
    assert "name=no-new-privileges" in engine.ok("info", "-f", "{{.SecurityOptions}}")
    warnings = json.loads(engine.ok("info", "-f", "{{json .Warnings}}")) or []
    if engine.kind == "mobyd":
        assert "WARNING: daemon is not using the default seccomp profile" in warnings
    engine.ok("run", "--rm", "--security-opt", "seccomp=unconfined", "busybox", "chmod", "700", "/etc")


def test_shared_memory_outlives_a_crash_and_not_its_container(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    donor = engine.ok("run", "-d", "--ipc", "shareable", "busybox", "sleep", "600")
    engine.ok("exec", donor, "touch", "/dev/shm/x")
    if engine.kind == "dockerd":
        return
    engine.kill()
    engine.start()
    assert engine.ok("run", "--rm", "--ipc", f"container:{donor}", "busybox", "ls", "/dev/shm") == "x"
    engine.kill()
    os.kill(int(Path(f"/proc/{_pid(donor)}").name), 9)
    engine.start()
    engine.ok("wait", donor)
    engine.ok("rm", donor)
    assert list((engine.root / "exec/places").iterdir()) == []


def test_who_needs_another_is_started_after_it(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine("--live-restore=false") if KIND == "mobyd" else make_engine()
    always = ("run", "-d", "--restart", "always")
    engine.ok(*always, "--name", "donor", "--ipc", "shareable", "busybox", "sleep", "600")
    engine.ok(*always, "--name", "linked", "--link", "donor:d", "busybox", "sleep", "600")
    engine.ok(*always, "--name", "joined", "--network", "container:linked", "busybox", "sleep", "600")
    engine.stop()
    engine.start()
    deadline = time.monotonic() + 30
    while len(engine.ok("ps", "-q").split()) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sorted(engine.ok("ps", "--format", "{{.Names}}").split()) == ["donor", "joined", "linked"]
    assert " d " in engine.ok("exec", "joined", "cat", "/etc/hosts").replace("\t", " ")


def _pid(container: str) -> int:
    """The first process of a container, found without its daemon: by its cgroup."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if container in (entry / "cgroup").read_text():
                    return int(entry.name)
            except OSError:
                continue
    raise AssertionError(f"no process of {container}")
