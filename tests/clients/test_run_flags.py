"""The flags of `docker run` that say how a container is to be, each seen from inside it or by `docker inspect`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine

ours_only = pytest.mark.skipif(KIND == "dockerd", reason="newer than 20.10")


def run(engine: Engine, *options: str, script: str) -> str:
    return engine.ok("run", "--rm", *options, "busybox", "sh", "-c", script)


def inspect(engine: Engine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine.ok("inspect", name))[0]
    return found


# names


def test_hostname_and_domainname(engine: Engine) -> None:
    out = run(
        engine,
        "--hostname",
        "web",
        "--domainname",
        "example.org",
        script="hostname; cat /etc/hosts; echo $HOSTNAME",
    )
    assert out.splitlines()[0] == "web"
    assert out.splitlines()[-1] == "web"
    assert "web.example.org web" in out


def test_the_hostname_is_the_short_id_by_default(engine: Engine) -> None:
    name = engine.ok("create", "busybox")
    assert inspect(engine, name)["Config"]["Hostname"] == name[:12]


def test_the_hosts_own_names(engine: Engine) -> None:
    assert (
        run(engine, "--uts", "host", script="hostname")
        == Path("/proc/sys/kernel/hostname").read_text().strip()
    )
    assert "conflicting options: hostname and the UTS mode" in engine.fails(
        "create", "--uts", "host", "--hostname", "x", "busybox"
    )


def test_names_of_others(engine: Engine) -> None:
    hosts = run(
        engine,
        "--add-host",
        "db:10.1.2.3",
        "--add-host",
        "six:::1",
        "--add-host",
        "up:host-gateway",
        script="cat /etc/hosts",
    )
    assert "10.1.2.3\tdb" in hosts
    assert "::1\tsix" in hosts
    gateway = run(engine, script="ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p'")
    assert f"{gateway}\tup" in hosts


def test_name_servers(engine: Engine) -> None:
    found = run(
        engine,
        "--dns",
        "10.9.8.7",
        "--dns-search",
        "example.org",
        "--dns-option",
        "ndots:3",
        script="cat /etc/resolv.conf",
    )
    assert "nameserver 10.9.8.7" in found
    assert "search example.org" in found
    assert "options ndots:3" in found


# the program


def test_environment(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("# nothing\nFROM_FILE=1\n")
    out = run(engine, "-e", "A=b c", "--env-file", f"{tmp_path}/env", script="env")
    assert {"A=b c", "FROM_FILE=1", "HOME=/root"} <= set(out.splitlines())
    assert any(line.startswith("PATH=/usr/local/sbin") for line in out.splitlines())
    # Without a value, and not set for the client either, it is taken away.
    assert "PATH" not in engine.ok(
        "run", "--rm", "-e", "HOSTNAME=", "busybox", "/bin/sh", "-c", "echo $HOSTNAME"
    )


def test_a_working_directory_is_made(engine: Engine) -> None:
    assert run(engine, "--workdir", "/new/place", script="pwd; ls -ld /new/place | cut -c1-10").split() == [
        "/new/place", "drwxr-xr-x",
    ]  # fmt: skip
    assert "the working directory 'new' is invalid, it needs to be an absolute path" in engine.fails(
        "create", "-w", "new", "busybox"
    )


def test_an_entrypoint_is_set_and_taken_away(engine: Engine) -> None:
    assert engine.ok("run", "--rm", "--entrypoint", "echo", "busybox", "a", "b") == "a b"
    assert engine.ok("run", "--rm", "--entrypoint", "", "busybox", "echo", "c") == "c"
    assert "o command specified" in engine.fails("create", "--entrypoint", "", "busybox")


def test_users_and_groups(engine: Engine) -> None:
    assert run(engine, "--user", "1000:2000", script="id -u; id -g; id -G").split() == [
        "1000",
        "2000",
        "2000",
    ]
    assert run(engine, "--user", "1000", script="id -u; id -g").split() == ["1000", "0"]
    out = run(engine, "--user", "root", "--group-add", "42", "--group-add", "root", script="id -G")
    assert sorted(out.split()) == ["0", "42"]
    assert "unable to find user nobody-here: no matching entries in passwd file" in engine.fails(
        "run", "--user", "nobody-here", "busybox", code=125
    )
    message = engine.fails("run", "--group-add", "nobody-here", "busybox", code=125)
    assert "nable to find group nobody-here" in message


def test_stop_signal_and_timeout(engine: Engine) -> None:
    script = "trap 'echo quit; exit 7' QUIT; while :; do sleep 0.1; done"
    name = engine.ok(
        "run", "-d", "--stop-signal", "SIGQUIT", "--stop-timeout", "20", "busybox", "sh", "-c", script
    )
    found = inspect(engine, name)["Config"]
    assert (found["StopSignal"], found["StopTimeout"]) == ("SIGQUIT", 20)
    engine.ok("stop", name)
    assert engine.ok("logs", name) == "quit"
    assert engine.ok("wait", name) == "7"
    message = engine.fails("create", "--stop-signal", "SIGWHAT", "busybox")
    assert "nvalid signal: SIGWHAT" in message


@pytest.mark.docker28
def test_labels_and_annotations(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("from=file\n")
    name = engine.ok(
        "create", "--label", "a=b", "--label", "c", "--label-file", f"{tmp_path}/labels", "busybox"
    )
    assert inspect(engine, name)["Config"]["Labels"] == {"a": "b", "c": "", "from": "file"}
    if KIND != "dockerd":
        name = engine.ok("create", "--annotation", "x=y", "busybox")
        assert inspect(engine, name)["HostConfig"]["Annotations"] == {"x": "y"}


def test_the_id_goes_to_a_file(engine: Engine, tmp_path: Path) -> None:
    name = engine.ok("create", "--cidfile", f"{tmp_path}/id", "busybox")
    assert (tmp_path / "id").read_text() == name
    assert inspect(engine, name)["HostConfig"]["ContainerIDFile"] == f"{tmp_path}/id"


def test_an_init_reaps(engine: Engine) -> None:
    if KIND == "dockerd":
        pytest.skip("needs a docker-init of its own")
    assert "init" in run(engine, "--init", script="cat /proc/1/cmdline | tr '\\0' ' '")


# what is shared


def test_ipc_is_shared_by_those_that_want_it(engine: Engine) -> None:
    engine.ok(
        "run", "-d", "--name", "donor", "--ipc", "shareable", "--shm-size", "3m", "busybox", "sleep", "60"
    )
    run(engine, "--ipc", "container:donor", script="echo there > /dev/shm/file")
    assert engine.ok("exec", "donor", "cat", "/dev/shm/file") == "there"
    size = run(engine, "--ipc", "container:donor", script="df -k /dev/shm | tail -1 | awk '{print $2}'")
    assert size == "3072"
    engine.ok("stop", "-t", "0", "donor")
    assert "is not running" in engine.fails("run", "--ipc", "container:donor", "busybox", code=125)
    engine.ok("start", "donor")
    assert engine.docker("exec", "donor", "ls", "/dev/shm").out == ""


def test_private_ipc_is_not_shared(engine: Engine) -> None:
    name = engine.ok("run", "-d", "--ipc", "private", "busybox", "sleep", "60")
    message = engine.fails("run", "--ipc", f"container:{name}", "busybox", code=125)
    assert "non-shareable IPC (hint: use IpcMode:shareable for the donor container)" in message
    assert "No such container: nobody" in engine.fails(
        "run", "--ipc", "container:nobody", "busybox", code=125
    )
    assert run(engine, "--ipc", "none", script="grep -c /dev/shm /proc/mounts; true") == "0"


def test_ipc_of_the_host(engine: Engine) -> None:
    mine = str(Path("/proc/self/ns/ipc").readlink())
    assert run(engine, "--ipc", "host", script="readlink /proc/self/ns/ipc") == mine
    assert run(engine, script="readlink /proc/self/ns/ipc") != mine


def test_shared_memory_has_its_size(engine: Engine) -> None:
    size = "df -k /dev/shm | tail -1 | awk '{print $2}'"
    assert run(engine, script=size) == str(64 << 10)
    assert run(engine, "--shm-size", "2m", script=size) == "2048"


def test_processes_are_shared(engine: Engine) -> None:
    name = engine.ok("run", "-d", "busybox", "sleep", "61")
    assert "sleep 61" in run(engine, "--pid", f"container:{name}", script="ps")
    assert str(Path("/proc/self/ns/pid").readlink()) == run(
        engine, "--pid", "host", script="readlink /proc/self/ns/pid"
    )
    assert "No such container: nobody" in engine.fails(
        "run", "--pid", "container:nobody", "busybox", code=125
    )
    engine.ok("rm", "-f", name)


def test_a_network_is_shared(engine: Engine) -> None:
    name = engine.ok("run", "-d", "--hostname", "owner", "busybox", "sleep", "60")
    own = engine.ok("exec", name, "ip", "-4", "-o", "addr", "show", "eth0")
    assert run(engine, "--network", f"container:{name}", script="ip -4 -o addr show eth0") == own
    assert (
        run(engine, "--network", f"container:{name}", script="hostname; cat /etc/hostname").split()
        == ["owner"] * 2
    )
    for option, words in (
        (("--dns", "1.1.1.1"), "dns and the network mode"),
        (("--add-host", "a:1.1.1.1"), "custom host-to-IP mapping and the network mode"),
        (("-p", "80"), "port publishing and the container type network mode"),
        (("--expose", "80"), "port exposing and the container type network mode"),
    ):
        message = engine.fails("create", "--network", f"container:{name}", *option, "busybox", code=1)
        assert f"conflicting options: {words}" in message


@pytest.mark.parametrize(("mode", "same"), [("host", True), ("private", False)])
def test_cgroup_namespaces(engine: Engine, mode: str, *, same: bool) -> None:
    mine = str(Path("/proc/self/ns/cgroup").readlink())
    assert (run(engine, "--cgroupns", mode, script="readlink /proc/self/ns/cgroup") == mine) == same


# links


def test_a_linked_container_is_known_by_its_alias(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "child", "--hostname", "kid", "busybox", "sleep", "60")
    address = engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "child")
    engine.ok("run", "-d", "--name", "owner", "--link", "child:alias", "busybox", "sleep", "60")
    hosts = engine.ok("exec", "owner", "cat", "/etc/hosts")
    assert f"{address}\talias kid child" in hosts
    assert engine.ok("inspect", "-f", "{{json .HostConfig.Links}}", "owner") == '["/child:/owner/alias"]'
    listed = ("ps", "--no-trunc", "--format", "{{.Names}}", "--filter")
    assert engine.ok(*listed, "name=child") == "child,owner/alias"
    assert engine.ok(*listed, "name=^owner/alias$") == "child,owner/alias"
    assert engine.ok("inspect", "-f", "{{.Name}}", "owner/alias") == "/child"
    # A new address is written where the old one was.
    engine.ok("rm", "-f", engine.ok("run", "-d", "--name", "gap", "busybox", "sleep", "60"))
    engine.ok("stop", "-t", "0", "child")
    taker = engine.ok("run", "-d", "busybox", "sleep", "60")
    engine.ok("start", "child")
    address = engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "child")
    assert f"{address}\talias" in engine.ok("exec", "owner", "cat", "/etc/hosts")
    if KIND != "dockerd":  # 20.10 shows it still
        engine.ok("rm", "--link", "owner/alias")
        assert engine.ok("inspect", "-f", "{{json .HostConfig.Links}}", "owner") == "null"
        assert "cannot remove the default link name" in engine.fails("rm", "--link", "owner")
    engine.ok("rm", "-f", taker, "owner", "child")


def test_a_linked_container_is_in_the_environment(engine: Engine) -> None:
    child = ("run", "-d", "--name", "db-1", "--expose", "5432", "--expose", "53/udp", "-e", "KEY=value")
    engine.ok(*child, "busybox", "sleep", "60")
    shown = engine.ok("run", "--rm", "--name", "web", "--link", "db-1", "busybox", "env").splitlines()
    address = engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "db-1")
    # Which port comes first differs between editions.
    assert {line for line in shown if line.startswith("DB_1_") and "DB_1_PORT=" not in line} == {
        f"DB_1_PORT_5432_TCP=tcp://{address}:5432",
        f"DB_1_PORT_5432_TCP_ADDR={address}",
        "DB_1_PORT_5432_TCP_PORT=5432",
        "DB_1_PORT_5432_TCP_PROTO=tcp",
        f"DB_1_PORT_53_UDP=udp://{address}:53",
        f"DB_1_PORT_53_UDP_ADDR={address}",
        "DB_1_PORT_53_UDP_PORT=53",
        "DB_1_PORT_53_UDP_PROTO=udp",
        "DB_1_NAME=/web/db-1",
        "DB_1_ENV_KEY=value",
    }


def test_links_to_what_is_not_there(engine: Engine) -> None:
    message = engine.fails("create", "--link", "nobody:x", "busybox")
    assert "could not get container for nobody: No such container: nobody" in message
    engine.ok("create", "--name", "asleep", "busybox")
    message = engine.fails("run", "--link", "asleep:x", "--name", "caller", "busybox", code=125)
    assert "Cannot link to a non running container: /asleep AS /caller/x" in message
    engine.ok("rm", "-f", "asleep", "caller")


# the root


def test_a_read_only_root(engine: Engine) -> None:
    result = engine.docker("run", "--rm", "--read-only", "busybox", "touch", "/x")
    assert "Read-only file system" in result.err
    assert run(engine, "--read-only", "--tmpfs", "/tmp", script="touch /tmp/x /dev/shm/x && echo ok") == "ok"


def test_sysctls(engine: Engine) -> None:
    assert run(engine, "--sysctl", "net.core.somaxconn=77", script="cat /proc/sys/net/core/somaxconn") == "77"
    assert run(engine, script="cat /proc/sys/net/ipv4/ip_unprivileged_port_start") == "0"
    message = engine.fails("run", "--sysctl", "kernel.panic=1", "busybox", code=125)
    assert "kernel.panic" in message


# devices


def test_a_device(engine: Engine) -> None:
    script = "ls -l /dev/nil | awk '{print $5 $6}'; echo x > /dev/nil && echo wrote"
    assert run(engine, "--device", "/dev/null:/dev/nil", script=script).split() == ["1,3", "wrote"]
    message = engine.fails("run", "--device", "/dev/nothing", "busybox", code=127)
    assert (
        'error gathering device information while adding custom device "/dev/nothing": no such file or directory'
        in message
    )


def test_a_directory_of_devices(engine: Engine, tmp_path: Path) -> None:
    import os
    import stat

    (tmp_path / "bus/001").mkdir(parents=True)
    os.mknod(tmp_path / "bus/001/002", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    out = run(engine, "--device", f"{tmp_path}/bus:/dev/bus:r", script="head -c2 /dev/bus/001/002 | wc -c")
    assert out == "2"


def test_a_rule_for_devices(engine: Engine) -> None:
    script = "mknod /nil c 1 11; head -c0 /nil 2>/dev/null && echo may"
    name = engine.ok("create", "--device-cgroup-rule", "c 1:11 rwm", "busybox", "sh", "-c", script)
    assert inspect(engine, name)["HostConfig"]["DeviceCgroupRules"] == ["c 1:11 rwm"]


@pytest.mark.parametrize("flag", [("--gpus", "all"), ("--gpus", "2")])
def test_there_are_no_gpus(engine: Engine, flag: tuple[str, str]) -> None:
    message = engine.fails("run", *flag, "busybox", code=125)
    assert 'could not select device driver "" with capabilities: [[gpu]]' in message


# what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--runtime", "unheard"), "nknown"),
        (("--restart", "sometimes"), "unknown policy 'sometimes'"),
        (("--restart", "always:3"), "maximum retry count"),
        (("--pid", "what"), "PID mode"),
        (("--ipc", "what"), "IPC mode"),
        (("--uts", "what"), "UTS mode"),
        (("--oom-score-adj", "2000"), "Invalid value 2000, range for oom score adj is [-1000, 1000]"),
        (("--hostname", "h" * 65), "too long"),
    ],
)
def test_what_is_wrong_is_told(engine: Engine, options: tuple[str, ...], message: str) -> None:
    if KIND == "dockerd" and options[0] in ("--restart", "--hostname", "--ipc"):
        pytest.skip("20.10 has other words")
    result = engine.docker("create", *options, "busybox")
    assert result.code != 0
    assert message in result.err


@ours_only
def test_sizes_of_roots_are_not_limited(engine: Engine) -> None:
    message = engine.fails("create", "--storage-opt", "size=1G", "busybox")
    assert "--storage-opt is supported only for overlay over xfs with 'pquota' mount option" in message


# what inspect shows

COMMON = ("Id", "Created", "Path", "Args", "State", "Image", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath",
          "Name", "RestartCount", "Driver", "Platform", "MountLabel", "ProcessLabel", "AppArmorProfile", "ExecIDs",
          "HostConfig", "Mounts", "Config", "NetworkSettings")  # fmt: skip
HOST = ("Binds", "ContainerIDFile", "LogConfig", "NetworkMode", "PortBindings", "RestartPolicy", "AutoRemove",
        "VolumeDriver", "VolumesFrom", "CapAdd", "CapDrop", "CgroupnsMode", "Dns", "DnsOptions", "DnsSearch",
        "ExtraHosts", "GroupAdd", "IpcMode", "Cgroup", "Links", "OomScoreAdj", "PidMode", "Privileged",
        "PublishAllPorts", "ReadonlyRootfs", "SecurityOpt", "UTSMode", "UsernsMode", "ShmSize", "Runtime",
        "ConsoleSize", "Isolation", "CpuShares", "Memory", "NanoCpus", "CgroupParent", "BlkioWeight",
        "BlkioWeightDevice", "BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps",
        "BlkioDeviceWriteIOps", "CpuPeriod", "CpuQuota", "CpuRealtimePeriod", "CpuRealtimeRuntime", "CpusetCpus",
        "CpusetMems", "Devices", "DeviceCgroupRules", "DeviceRequests", "MemoryReservation", "MemorySwap",
        "MemorySwappiness", "OomKillDisable", "PidsLimit", "Ulimits", "CpuCount", "CpuPercent", "IOMaximumIOps",
        "IOMaximumBandwidth", "MaskedPaths", "ReadonlyPaths")  # fmt: skip
CONFIG = ("Hostname", "Domainname", "User", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin",
          "StdinOnce", "Env", "Cmd", "Image", "Volumes", "WorkingDir", "Entrypoint", "Labels")  # fmt: skip
MOUNT = ("Type", "Source", "Destination", "Mode", "RW", "Propagation")


def test_inspect_has_dockers_keys(engine: Engine, tmp_path: Path) -> None:
    name = engine.ok("create", "-v", f"{tmp_path}:/x", "busybox")
    found = inspect(engine, name)
    assert set(COMMON) <= found.keys()
    assert set(HOST) <= found["HostConfig"].keys()
    assert set(CONFIG) <= found["Config"].keys()
    assert set(MOUNT) <= found["Mounts"][0].keys()
    assert found["HostConfig"]["Runtime"] == "runc"


def test_inspect_shows_what_was_asked(engine: Engine) -> None:
    name = engine.ok(
        "create", "--cap-add", "NET_ADMIN", "--cap-drop", "chown", "--group-add", "7", "--dns", "1.2.3.4",
        "--add-host", "a:1.2.3.4", "--security-opt", "no-new-privileges", "--shm-size", "1m", "--pid", "host",
        "--device", "/dev/null:/dev/x:r", "--tmpfs", "/t:size=1m", "--sysctl", "net.core.somaxconn=5",
        "--read-only", "--restart", "on-failure:3", "--volumes-from", engine.ok("create", "busybox"), "busybox",
    )  # fmt: skip
    host = inspect(engine, name)["HostConfig"]
    assert host["CapDrop"] in (["chown"], ["CAP_CHOWN"])
    assert host["CapAdd"] in (["NET_ADMIN"], ["CAP_NET_ADMIN"])
    assert host["GroupAdd"] == ["7"]
    assert host["Dns"] == ["1.2.3.4"]
    assert host["ExtraHosts"] == ["a:1.2.3.4"]
    assert host["SecurityOpt"] == ["no-new-privileges", "label=disable"]
    assert host["ShmSize"] == 1 << 20
    assert host["PidMode"] == "host"
    assert host["Devices"] == [
        {"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "r"}
    ]
    assert host["Tmpfs"] == {"/t": "size=1m"}
    assert host["Sysctls"] == {"net.core.somaxconn": "5"}
    assert host["ReadonlyRootfs"] is True
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert len(host["VolumesFrom"]) == 1
