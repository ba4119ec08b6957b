"""Containers whose users are somebody else outside (`--userns-remap`), driven through the docker command."""

from __future__ import annotations

import io
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine, Network
from tests.clients.places import apart

# Users of our own on top of the host's, for as long as it stands: nothing of the host's is changed.
OVERLAY = 'mount -t overlay -o "lowerdir=/etc,upperdir=$0/upper,workdir=$0/work" etc /etc'


@contextmanager
def remapped(place: Path, remap: str) -> Iterator[Engine]:
    """An engine that sees users of its own, not started yet."""
    name = uuid.uuid4().hex[:8]
    root = place / name
    for part in ("etc/upper", "etc/work"):
        (root / part).mkdir(parents=True)
    for directory in (place, root):
        directory.chmod(0o711)
    for file in ("subuid", "subgid"):
        (root / "etc/upper" / file).write_text("games:700000:65536\n")
    with Network(f"mobyt-{name}") as network, apart(network, OVERLAY, str(root / "etc")):
        engine = Engine(root, network, KIND, ("--userns-remap", remap))
        try:
            yield engine
        finally:
            engine.remove()


@pytest.fixture(scope="module")
def users(place: Path, archive: Path) -> Iterator[Engine]:
    """An engine whose containers have the numbers from 700000 on."""
    with remapped(place, "games") as engine:
        engine.start()
        engine.ok("load", "--input", archive)
        yield engine
        assert engine.ok("ps", "--all", "--quiet") == ""
        assert engine.stop() == 0


def run(engine: Engine, *arguments: str) -> str:
    return engine.ok("run", "--rm", *arguments)


def owner(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid


def members(engine: Engine, *arguments: str) -> dict[str, tuple[int, int]]:
    """Who owns what in the archive that a command writes."""
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, check=True, env=engine.environment, timeout=60
    )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        return {member.name: (member.uid, member.gid) for member in archive}


def test_root_inside_is_nobody_outside(users: Engine) -> None:
    assert run(users, "busybox", "cat", "/proc/self/uid_map").split() == ["0", "700000", "65536"]
    assert (
        run(users, "busybox", "stat", "-c", "%u:%g", "/bin/sh", "/etc/hosts", "/root").split() == ["0:0"] * 3
    )
    users.ok("run", "-d", "--name", "one", "busybox", "sleep", "600")
    pid = users.ok("inspect", "-f", "{{.State.Pid}}", "one")
    assert owner(Path("/proc", pid)) == (700000, 700000)
    assert users.ok("exec", "one", "id", "-u") == "0"
    users.ok("rm", "-f", "one")


def test_what_is_told(users: Engine) -> None:
    assert "name=userns" in users.ok("info", "-f", "{{.SecurityOptions}}")
    root = Path(users.ok("info", "-f", "{{.DockerRootDir}}"))
    assert root == users.root / "data/700000.700000"
    assert owner(root) == (0, 700000)


def test_volumes_and_binds_are_roots(users: Engine, tmp_path: Path) -> None:
    new = users.root / "made"
    command = "touch /v/a /n/b && stat -c %u /v /n /v/a"
    assert run(users, "-v", "vol:/v", "-v", f"{new}:/n", "busybox", "sh", "-c", command).split() == ["0"] * 3
    assert owner(new) == owner(new / "b") == (700000, 700000)
    assert owner(Path(users.ok("volume", "inspect", "-f", "{{.Mountpoint}}", "vol"))) == (700000, 700000)
    # What the image has at a mount point comes with its owners.
    assert run(users, "-v", "up:/var/spool", "busybox", "stat", "-c", "%u:%g", "/var/spool") == "0:0"
    users.ok("volume", "rm", "vol", "up")


def test_restrictions_of_the_host_stay(users: Engine) -> None:
    limited = users.root / "limited"
    limited.mkdir()
    inside = ["nsenter", f"--mount=/proc/{users.pid}/ns/mnt"]
    options = "nosuid,nodev,noexec"
    subprocess.run([*inside, "mount", "-t", "tmpfs", "-o", options, "limited", limited], check=True)
    shown = run(users, "-v", f"{limited}:/s:ro", "busybox", "grep", " /s ", "/proc/mounts")
    subprocess.run([*inside, "umount", limited], check=True)
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(shown.split()[3].split(","))


def test_archives_have_the_numbers_inside(users: Engine, tmp_path: Path) -> None:
    users.ok("run", "-d", "--name", "own", "busybox", "sh", "-c", "echo x > /f; chown 33:34 /f; sleep 600")
    users.ok("exec", "own", "sh", "-c", "until [ -s /f ]; do :; done")
    assert members(users, "cp", "own:/f", "-") == {"f": (33, 34)}
    assert members(users, "export", "own")["f"] == (33, 34)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("deep/given")
        member.uid, member.gid = 33, 34
        tar.addfile(member)
    with users.client() as client:
        assert client.containers.get("own").put_archive("/tmp", archive.getvalue())
        assert client.containers.get("own").put_archive("/tmp", archive.getvalue())
    assert users.ok("exec", "own", "stat", "-c", "%u:%g", "/tmp/deep", "/tmp/deep/given").split() == [
        "0:0",
        "33:34",
    ]
    users.ok("commit", "own", "made")
    assert run(users, "made", "stat", "-c", "%u:%g", "/f") == "33:34"
    assert run(users, "--userns=host", "made", "stat", "-c", "%u:%g", "/f") == "33:34"
    users.ok("rm", "-f", "own")
    users.ok("rmi", "made")


def test_mount_points_made_for_a_copy_are_roots(users: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    users.ok(
        "create", "--name", "copied", "-v", "points:/a/b", "busybox", "stat", "-c", "%u:%g", "/a", "/a/b"
    )
    users.ok("cp", tmp_path / "file", "copied:/a/b/file")
    assert users.ok("start", "-a", "copied").split() == ["0:0", "0:0"]
    users.ok("rm", "-f", "copied")
    users.ok("volume", "rm", "points")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--privileged"], "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode"),
        (["--network", "host"], "cannot share the host's network namespace when user namespaces are enabled"),
        (["--pid", "host"], "cannot share the host PID namespace when user namespaces are enabled"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(users: Engine, flags: list[str], words: str) -> None:
    assert words in users.fails("run", "--rm", *flags, "busybox", "true", code=125)


def test_the_hosts_own_namespace(users: Engine) -> None:
    flags = ["--userns=host", "--privileged", "--network=host", "--pid=host"]
    shown = run(users, *flags, "busybox", "sh", "-c", "cat /proc/self/uid_map; stat -c %u /bin/sh").split()
    assert shown[:2] == ["0", "0"]
    assert shown[3] == "0" or KIND == "dockerd"


def test_the_network_is_the_containers_own(users: Engine) -> None:
    command = "ip link set lo down && ip link show lo | head -1"
    assert "UP" not in run(users, "--cap-add", "NET_ADMIN", "busybox", "sh", "-c", command)
    assert "127.0.0.1" not in run(users, "busybox", "sh", "-c", "ip -4 addr show eth0")
    assert "lo:" in run(users, "--network", "none", "busybox", "ip", "link")


def test_namespaces_of_others(users: Engine) -> None:
    users.ok(
        "run",
        "-d",
        "--name",
        "donor",
        "--ipc",
        "shareable",
        "busybox",
        "sh",
        "-c",
        "touch /dev/shm/x; sleep 600",
    )
    users.ok("exec", "donor", "sh", "-c", "until [ -e /dev/shm/x ]; do :; done")
    joined = ["--network", "container:donor"]
    assert run(users, *joined, "busybox", "hostname", "-i") == users.ok("exec", "donor", "hostname", "-i")
    shown = run(
        users,
        "--ipc",
        "container:donor",
        "--pid",
        "container:donor",
        "busybox",
        "sh",
        "-c",
        "ls /dev/shm; ps",
    )
    assert "x" in shown.splitlines()[0]
    assert "sleep 600" in shown
    users.ok("rm", "-f", "donor")


def test_a_restart_of_the_daemon_finds_everything(users: Engine) -> None:
    users.ok("run", "-d", "--name", "on", "--restart", "always", "busybox", "sleep", "600")
    users.kill()
    users.start()
    assert users.ok("exec", "on", "id", "-u") == "0"
    users.ok("restart", "-t", "0", "on")
    assert users.ok("exec", "on", "cat", "/proc/self/uid_map").split()[1] == "700000"
    users.ok("rm", "-f", "on")


def test_a_user_is_made_for_those_who_want_any(place: Path) -> None:
    with remapped(place, "default") as engine:
        engine.start()
        upper = engine.root / "etc/upper"
        assert "dockremap:" in (upper / "passwd").read_text()
        lines = (upper / "subuid").read_text().splitlines()
        (first,) = [int(line.split(":")[1]) for line in lines if line.startswith("dockremap:")]
        assert not first < 765536 <= first + 65536
        assert engine.ok("info", "-f", "{{.DockerRootDir}}").endswith(f"/{first}.{first}")
        assert engine.stop() == 0


@pytest.mark.skipif(KIND != "mobyd", reason="dockerd says the same in other places")
@pytest.mark.parametrize(
    ("remap", "words"),
    [
        ("a:b:c", 'Invalid user/group specification in --userns-remap: "a:b:c"'),
        ("nobody-at-all", 'Error during uid lookup for "nobody-at-all"'),
        ("77777", "Uid 77777 has no entry in /etc/passwd"),
        ("games:77777", "Gid 77777 has no entry in"),
        ("games:no-group", 'Error during groupname lookup for "no-group"'),
        ("lp", 'no subuid ranges found for user "lp"'),
    ],
)
def test_whom_nobody_can_be(place: Path, remap: str, words: str) -> None:
    with remapped(place, remap) as engine:
        with pytest.raises(RuntimeError) as caught:
            engine.start()
        assert words in str(caught.value)
