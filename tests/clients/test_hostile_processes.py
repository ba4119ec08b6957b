"""Containers made to get out, by what they run or have run; each test names what it is about."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine
from tests.leftovers import processes

SECRET = "a secret of the host's"


@pytest.fixture
def box(engine: Engine) -> Iterator[str]:
    """A running container."""
    name = engine.ok("run", "-d", "busybox", "sleep", "600")
    yield name
    engine.docker("rm", "-f", name)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file of the host's, that must be neither read nor changed."""
    path = tmp_path / "secret"
    path.write_text(SECRET)
    return path


def host_python(*arguments: str) -> list[str]:
    """A container's options for the host's own Python: system calls that no shell makes."""
    python = os.path.realpath(shutil.which("python3", path="/usr/bin:/bin") or "")
    if not python:
        pytest.skip("needs Debian's python3")
    places = [place for place in ("/usr", "/lib", "/lib64") if Path(place).exists()]
    return [
        *(word for place in places for word in ("-v", f"{place}:{place}:ro")),
        "busybox",
        python,
        *arguments,
    ]


def asked_for_a_socket(engine: Engine, family: int, kind: int, *options: str) -> str:
    """What the kernel says to whoever wants one of a family."""
    script = (
        f"import errno, socket\ntry:\n socket.socket({family}, {kind})\n"
        "except OSError as error:\n print(errno.errorcode[error.errno])\nelse:\n print('made')"
    )
    return engine.ok("run", "--rm", *options, *host_python("-c", script))


@pytest.mark.parametrize("family", [38, 40])
def test_sockets_of_the_kernels_own(engine: Engine, family: int) -> None:
    """AF_ALG's holes led into the kernel, AF_VSOCK leads past every namespace: neither is to be had."""
    if KIND == "dockerd" and family == 38:
        pytest.skip("20.10 gives it")
    assert asked_for_a_socket(engine, family, 5 if family == 38 else 1) == "EPERM"
    assert asked_for_a_socket(engine, 1, 1) == "made"


def test_abstract_sockets(engine: Engine, box: str) -> None:
    """CVE-2020-15257: shims listened where every container on the host's network could call them."""
    with engine.spawn("exec", "-i", box, "cat"):
        shown = engine.ok("run", "--rm", "--network", "host", "busybox", "cat", "/proc/net/unix")
    paths = [line.split()[-1] for line in shown.splitlines()[1:] if len(line.split()) > 7]
    assert not [path for path in paths if path.startswith("@")]


def test_modes_of_directories(engine: Engine, box: str) -> None:
    """CVE-2024-25621 and its like: what the engine keeps is nobody else's to list, read or write."""
    engine.ok("run", "-d", "--name", "bound", "-v", "modes:/data", "busybox", "sleep", "600")
    seen = 0
    for top in ("data", "exec"):
        for directory, names, files in os.walk(engine.root / top):
            for name in list(names):
                path = Path(directory, name)
                mode = path.lstat().st_mode
                if not stat.S_ISDIR(mode):
                    continue
                seen += 1
                closed = mode & 0o007 == 0
                assert closed or not mode & 0o002 or name == "tmp", f"{path}: {mode:o}"
                if closed:
                    names.remove(name)
            for name in files:
                mode = Path(directory, name).lstat().st_mode
                if stat.S_ISREG(mode) or stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode):
                    assert not mode & 0o002, f"{directory}/{name}: {mode:o}"
    assert seen > 5
    script = "for place in {0}/data {0}/exec {0}/data/* {0}/exec/*; do ls $place >/dev/null 2>&1 && echo $place; done; true"
    nobody = [
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "sh",
        "-c",
        script.format(engine.root),
    ]
    assert subprocess.run(nobody, capture_output=True, text=True, check=True).stdout == ""
    engine.ok("rm", "-f", "bound")


@pytest.mark.parametrize("user", ["0", "1000"])
def test_inheritable_capabilities(engine: Engine, box: str, user: str) -> None:
    """CVE-2022-24769: with some, a program with file capabilities gained what its user was not to have."""
    told = engine.ok("exec", "-u", user, box, "cat", "/proc/self/status")
    told += engine.ok(
        "run", "--rm", "-u", user, "--cap-add", "NET_ADMIN", "busybox", "cat", "/proc/self/status"
    )
    told += engine.ok("exec", "--privileged", "-u", user, box, "cat", "/proc/self/status")
    values = [line.split()[1] for line in told.splitlines() if line.startswith(("CapInh", "CapAmb"))]
    assert [int(value, 16) for value in values] == [0] * 6


def test_commands_have_what_their_container_has(engine: Engine, box: str) -> None:
    """A command in a container is filtered and fenced in as its first process is."""
    told = engine.ok("exec", box, "cat", "/proc/self/status", "/proc/1/status").splitlines()
    for field in ("CapEff", "CapBnd", "Seccomp", "NoNewPrivs"):
        first, second = [line.split()[1] for line in told if line.startswith(f"{field}:")]
        assert first == second, field
    assert "Operation not permitted" in engine.docker("exec", box, "unshare", "-m", "true").err
    assert engine.ok("exec", box, "sh", "-c", "wc -c < /proc/timer_list || true") in ("0", "")
    assert engine.docker("exec", box, "sh", "-c", "echo 1 > /proc/sys/kernel/hostname").code != 0
    cgroups = engine.ok("exec", box, "cat", "/proc/self/cgroup", "/proc/1/cgroup").splitlines()
    assert sorted(cgroups) == sorted(cgroups[: len(cgroups) // 2] * 2)


@pytest.mark.parametrize(
    "user", ["4294967296", "18446744073709551616:0", "2147483648", "-1", "0x0", "1:4294967296"]
)
def test_users_of_commands_that_overflow(engine: Engine, box: str, user: str) -> None:
    """CVE-2024-40635: a number too large for the kernel became root."""
    result = engine.docker("exec", "--user", user, box, "id", "-u")
    assert result.code != 0
    assert result.out.strip() != "0"


def test_directories_of_commands_through_descriptors(engine: Engine, box: str, outside: Path) -> None:
    """CVE-2024-21626: a descriptor that the runtime had left open led to the host."""
    for number in range(3, 12):
        for way in (f"/proc/self/fd/{number}", f"/proc/1/fd/{number}"):
            result = engine.docker("exec", "-w", way, box, "cat", f"../../../../../../../..{outside}")
            assert SECRET not in result.out
    # Nor has a command one that it was not given.
    assert engine.ok("exec", box, "sh", "-c", "ls /proc/self/fd | wc -l") in ("3", "4")


def test_lists_of_users_that_commands_read(engine: Engine, outside: Path) -> None:
    """CVE-2024-9676 and its like: the engine hung on a FIFO, or read what a link means on the host."""
    outside.write_text("hostile:x:0:0::/:/bin/sh\n")
    for change in ("mkfifo /etc/passwd", f"ln -s {outside} /etc/passwd", "mknod /etc/passwd c 1 5"):
        name = engine.ok("run", "-d", "busybox", "sh", "-c", f"rm /etc/passwd; {change}; sleep 600")
        result = engine.docker("exec", "--user", "hostile", name, "id", timeout=30)
        assert result.code != 0
        assert "uid=0" not in result.out
        engine.ok("rm", "-f", name)


def test_the_runtimes_own_program(engine: Engine, tmp_path: Path) -> None:
    """CVE-2019-5736: a container ran /proc/self/exe, which was the host's runtime, and wrote into it."""
    shown = json.loads(engine.ok("info", "-f", "{{json .Runtimes}}"))
    programs = {shutil.which(entry["path"]) for entry in shown.values()} | {
        shutil.which(p) for p in ("crun", "runc")
    }
    before = {path: hashlib.sha256(Path(path).read_bytes()).digest() for path in programs if path}
    assert before
    script = "#!/proc/self/exe\n"
    (tmp_path / "evil").write_text(script)
    (tmp_path / "evil").chmod(0o755)
    writer = "while true; do for p in /proc/[0-9]*; do echo evil 2>/dev/null > $p/exe; done; done"
    name = engine.ok("run", "-d", "-v", f"{tmp_path}/evil:/evil:ro", "busybox", "sh", "-c", writer)
    for _ in range(5):
        engine.docker("exec", name, "/proc/self/exe", timeout=30)
        engine.docker("exec", name, "/evil", timeout=30)
        engine.docker("run", "--rm", "--entrypoint", "/proc/self/exe", "busybox", "init", timeout=30)
    engine.ok("rm", "-f", name)
    assert before == {path: hashlib.sha256(Path(path).read_bytes()).digest() for path in before}


@pytest.mark.parametrize("target", ["/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern"])
def test_races_on_masked_paths(engine: Engine, target: str) -> None:
    """CVE-2025-31133, -52565, -52881: /dev/null or /dev/console was a link when what is masked was covered."""
    engine.ok("volume", "create", "raced")
    make = f"rm -f /v/null /v/console; ln -s {target} /v/null; ln -s {target} /v/console"
    engine.ok("run", "--rm", "-v", "raced:/v", "busybox", "sh", "-c", make)
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    script = f"cat /proc/kcore | head -c1 | wc -c; echo '|/evil' > {target} && echo wrote; true"
    swap = f"while true; do ln -sfn {target} /v/null; rm -f /v/null; touch /v/null; done"
    racer = engine.ok("run", "-d", "-v", "raced:/v", "busybox", "sh", "-c", swap)
    for options in ((), ("-t",)):
        for _ in range(3):
            result = engine.docker("run", "--rm", "-v", "raced:/dev", *options, "busybox", "sh", "-c", script)
            assert "wrote" not in result.out
            assert "1" not in result.out.split()[:1]
    engine.ok("rm", "-f", racer)
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_nothing_of_the_host_is_left_open(engine: Engine, box: str) -> None:
    """No process of a container holds a file or a directory of the host's, but its streams."""
    pid = engine.ok("inspect", "-f", "{{.State.Pid}}", box)
    found = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    assert all(path.startswith(("pipe:", "/dev/", "socket:")) for path in found), found
    inside = engine.ok("exec", box, "sh", "-c", "cat /proc/self/mountinfo")
    assert str(engine.root) not in " ".join(line.split()[4] for line in inside.splitlines())
    assert processes(str(engine.root))
