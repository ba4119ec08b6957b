"""What a container cannot do: looked at from inside one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine

DEFAULT_CAPABILITIES = "00000000a80425fb"


def status(engine: Engine, field: str, *options: str) -> str:
    out = engine.ok("run", "--rm", *options, "busybox", "cat", "/proc/self/status")
    return next(line.split(":", 1)[1].strip() for line in out.splitlines() if line.startswith(f"{field}:"))


def test_it_has_dockers_capabilities_and_no_more(engine: Engine) -> None:
    assert status(engine, "CapEff") == DEFAULT_CAPABILITIES
    assert status(engine, "CapBnd") == DEFAULT_CAPABILITIES
    assert int(status(engine, "CapInh"), 16) == 0
    assert int(status(engine, "CapAmb"), 16) == 0


def test_a_user_has_none_that_it_could_use(engine: Engine) -> None:
    assert int(status(engine, "CapEff", "--user", "1000"), 16) == 0
    assert int(status(engine, "CapPrm", "--user", "1000"), 16) == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--cap-drop", "ALL"), 0),
        (("--cap-drop", "ALL", "--cap-add", "NET_ADMIN"), 1 << 12),
        (("--cap-drop", "all", "--cap-add", "CAP_NET_ADMIN"), 1 << 12),
        (("--cap-drop", "all", "--cap-add", "cap_chown"), 1),
        (("--cap-drop", "chown"), int(DEFAULT_CAPABILITIES, 16) & ~1),
        (("--cap-add", "SYS_TIME"), int(DEFAULT_CAPABILITIES, 16) | 1 << 25),
    ],
)
def test_capabilities_are_added_and_dropped(engine: Engine, options: tuple[str, ...], expected: int) -> None:
    assert int(status(engine, "CapEff", *options), 16) == expected


def test_a_capability_that_is_none(engine: Engine) -> None:
    message = engine.fails("create", "--cap-add", "FLY", "busybox")
    assert 'invalid CapAdd: unknown capability: "CAP_FLY"' in message
    message = engine.fails("create", "--cap-drop", "FLY", "busybox")
    assert 'invalid CapDrop: unknown capability: "CAP_FLY"' in message


@pytest.mark.docker28
def test_system_calls_are_filtered(engine: Engine) -> None:
    assert status(engine, "Seccomp") == "2"
    assert status(engine, "Seccomp", "--security-opt", "seccomp=unconfined") == "0"
    if KIND != "dockerd":  # 20.10 has no name for it
        assert status(engine, "Seccomp", "--security-opt", "seccomp=builtin") == "2"


def test_a_call_that_is_not_allowed_fails(engine: Engine) -> None:
    assert "Operation not permitted" in engine.docker("run", "--rm", "busybox", "unshare", "-m", "true").err
    # With the capability and without the filter it would be allowed.
    engine.ok("run", "--rm", "--cap-add", "SYS_ADMIN", "busybox", "unshare", "-m", "true")


def test_a_profile_of_ones_own(engine: Engine, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": '
        '[{"names": ["chmod", "fchmod", "fchmodat", "fchmodat2"], "action": "SCMP_ACT_ERRNO"}]}'
    )
    option = f"seccomp={profile}"
    result = engine.docker("run", "--rm", "--security-opt", option, "busybox", "chmod", "700", "/etc")
    assert "Operation not permitted" in result.err
    engine.ok("run", "--rm", "busybox", "chmod", "700", "/etc")


def test_a_profile_that_is_none(engine: Engine, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text('{"syscalls": 7}')
    message = engine.fails("run", "--security-opt", f"seccomp={profile}", "busybox", code=125)
    assert "ecoding seccomp profile failed" in message


def test_set_uid_programs_gain_nothing_if_asked(engine: Engine) -> None:
    assert status(engine, "NoNewPrivs") == "0"
    assert status(engine, "NoNewPrivs", "--security-opt", "no-new-privileges") == "1"
    assert status(engine, "NoNewPrivs", "--security-opt", "no-new-privileges:true") == "1"
    assert status(engine, "NoNewPrivs", "--security-opt", "no-new-privileges=false") == "0"


def test_masked_files_are_empty(engine: Engine) -> None:
    for path in ("/proc/timer_list", "/proc/kcore"):
        if Path(path).exists():
            assert engine.ok("run", "--rm", "busybox", "sh", "-c", f"wc -c < {path}") == "0"
    assert engine.ok("run", "--rm", "busybox", "ls", "/sys/firmware") == ""
    count = ("busybox", "sh", "-c", "grep -c ' /proc/' /proc/mounts; true")
    assert int(engine.ok("run", "--rm", *count)) >= 3
    assert engine.ok("run", "--rm", "--security-opt", "systempaths=unconfined", *count) == "0"


@pytest.mark.parametrize(
    "path", ["/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity"]
)
def test_the_kernels_settings_are_read_only(engine: Engine, path: str) -> None:
    if not Path(path).exists():
        pytest.skip(f"this kernel has no {path}")
    result = engine.docker("run", "--rm", "busybox", "sh", "-c", f"echo 1 > {path}")
    assert result.code != 0
    assert "Read-only file system" in result.err


def test_sys_and_cgroups_are_read_only(engine: Engine) -> None:
    result = engine.docker("run", "--rm", "busybox", "mkdir", "/sys/x")
    assert result.code != 0
    assert "Read-only file system" in result.err or "Operation not permitted" in result.err
    found = engine.ok(
        "run", "--rm", "busybox", "grep", "-E", "^[^ ]+ [^ ]+ (sysfs|cgroup2?) ", "/proc/mounts"
    )
    assert all(line.split()[3].startswith("ro") for line in found.splitlines())
    script = "for d in /sys/fs/cgroup/*/; do mkdir $d/x 2>/dev/null && echo $d; done; true"
    assert engine.ok("run", "--rm", "busybox", "sh", "-c", script) == ""


def test_the_daemons_socket_is_out_of_reach(engine: Engine) -> None:
    script = f"ls {engine.socket} /run/containerd /var/run/docker.sock 2>/dev/null; true"
    assert engine.ok("run", "--rm", "busybox", "sh", "-c", script) == ""
    # Nor has it one of the daemon's descriptors.
    assert engine.ok("run", "--rm", "busybox", "sh", "-c", "ls /proc/1/fd | wc -l") in ("3", "4")


def test_devices_of_the_host_cannot_be_used(engine: Engine) -> None:
    result = engine.docker("run", "--rm", "busybox", "sh", "-c", "mknod /x b 8 0 && head -c1 /x")
    assert result.code != 0
    assert "Operation not permitted" in result.err
    names = engine.ok("run", "--rm", "busybox", "ls", "/dev").split()
    assert not {"mem", "kmem", "kmsg", "sda", "fuse"} & set(names)


@pytest.mark.skipif(KIND == "dockerd", reason="it asks for capabilities that it may not have itself")
def test_a_privileged_container_may_do_all(engine: Engine) -> None:
    assert status(engine, "Seccomp", "--privileged") == "0"
    ours = next(
        line.split()[1]
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("CapEff")
    )
    assert status(engine, "CapEff", "--privileged") == ours
    script = "mkdir /sys/fs/cgroup/pids/moby-test && rmdir /sys/fs/cgroup/pids/moby-test; ls /dev/kmsg; grep -c ' /proc/kcore ' /proc/mounts; true"
    out = engine.ok("run", "--rm", "--privileged", "--cgroupns", "private", "busybox", "sh", "-c", script)
    assert out.splitlines()[-1] == "0"
    shown = engine.ok("create", "--privileged", "busybox")
    assert engine.ok(
        "inspect", "-f", "{{json .HostConfig.SecurityOpt}} {{json .HostConfig.MaskedPaths}}", shown
    ) == ('["label=disable"] null')


@pytest.mark.docker28
def test_a_link_in_a_volume_does_not_lead_out_of_it(engine: Engine) -> None:
    if KIND == "dockerd":
        pytest.skip("20.10 has no subpaths")
    engine.ok("volume", "create", "trap")
    script = "mkdir /v/dir; ln -s /etc /v/absolute; ln -s ../../../../../../etc /v/relative; ln -s dir /v/inside; touch /v/dir/here"
    engine.ok("run", "--rm", "-v", "trap:/v", "busybox", "sh", "-c", script)
    for name in ("absolute", "relative"):
        option = f"type=volume,source=trap,target=/x,volume-subpath={name}"
        result = engine.docker("run", "--rm", "--pull", "never", "--mount", option, "busybox", "ls", "/x")
        assert result.code == 125
        assert "path concatenation escapes the base directory" in result.err
    option = "type=volume,source=trap,target=/x,volume-subpath=inside"
    assert engine.ok("run", "--rm", "--mount", option, "busybox", "ls", "/x") == "here"
    option = "type=volume,source=trap,target=/x,volume-subpath=../_data"
    assert "subpath must be a relative path within the volume" in engine.fails(
        "create", "--mount", option, "busybox"
    )
