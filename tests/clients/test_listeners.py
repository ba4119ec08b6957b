"""Where a daemon listens: sockets and their modes, TLS, descriptors handed over, several daemons, reloading."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine

ours_alone = pytest.mark.skipif(KIND != "mobyd", reason="about our own command line")


def certificates(directory: Path) -> None:
    """A certificate authority, and what it has signed for a server and for a client."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=ca",
        "-keyout",
        "ca-key.pem",
        "-out",
        "ca.pem",
    )
    for name, extra in (("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
        openssl(
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            f"/CN={name}",
            "-keyout",
            f"{name}-key.pem",
            "-out",
            f"{name}.csr",
        )
        (directory / "extra").write_text(extra)
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial",
            "-days", "2", "-extfile", "extra", "-out", f"{name}.pem",
        )  # fmt: skip


def test_the_unix_socket_is_for_root_and_its_group(engine: Engine) -> None:
    found = engine.socket.stat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o660


def test_tls_lets_in_whom_its_authority_has_signed(
    make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    certificates(tmp_path)
    engine = make_engine(
        "--host", "tcp://127.0.0.1:2376", "--tlsverify", "--tlscacert", str(tmp_path / "ca.pem"),
        "--tlscert", str(tmp_path / "server.pem"), "--tlskey", str(tmp_path / "server-key.pem"),
    )  # fmt: skip
    known = [
        "--tlsverify", "--tlscacert", str(tmp_path / "ca.pem"),
        "--tlscert", str(tmp_path / "client.pem"), "--tlskey", str(tmp_path / "client-key.pem"),
    ]  # fmt: skip

    def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*engine.network.enter, "docker", "-H", "tcp://127.0.0.1:2376", *arguments],
            capture_output=True, text=True, timeout=60, check=False,
            env=os.environ | {"DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": ""},
        )  # fmt: skip

    done = docker(*known, "run", "--rm", "busybox", "echo", "over TLS")
    assert (done.returncode, done.stdout) == (0, "over TLS\n"), done.stderr
    box = docker(*known, "run", "-d", "busybox", "sleep", "600").stdout.strip()
    assert docker(*known, "exec", box, "echo", "inside").stdout == "inside\n"
    stranger = docker("--tls", "--tlscacert", str(tmp_path / "ca.pem"), "version")
    assert stranger.returncode != 0
    assert "certificate" in stranger.stderr
    assert docker("version").returncode != 0


@ours_alone
def test_sockets_may_be_handed_over_by_a_service_manager(
    make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    engine = make_engine(load=False)
    engine.stop()
    path = tmp_path / "activated.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        root = engine.root
        # What systemd does: descriptors from 3 on, and a variable that names the process they are for.
        program = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); "
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); os.execv(sys.argv[2], sys.argv[2:])"
        )
        command = [
            *engine.network.enter, sys.executable, "-c", program, str(listener.fileno()), sys.executable, "-m", "moby.cli.mobyd",
            "--host", "fd://", "--data-root", str(root / "data"), "--exec-root", str(root / "exec"),
            "--pidfile", str(root / "daemon.pid"),
        ]  # fmt: skip
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
        with (root / "activated.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stderr=log, pass_fds=[listener.fileno()])
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(60)
                client.connect(str(path))
                client.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
                assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, (root / "activated.log").read_text()
        assert path.exists(), (root / "activated.log").read_text()


@ours_alone
def test_daemons_live_side_by_side_but_not_in_one_place(make_engine: Callable[..., Engine]) -> None:
    one, two = make_engine(), make_engine()
    one.ok("run", "-d", "--name", "same", "busybox", "sleep", "600")
    two.ok("run", "-d", "--name", "same", "busybox", "sleep", "600")
    assert one.ok("ps", "-q") != two.ok("ps", "-q")
    intruder = Engine(one.root, one.network)
    intruder.start(wait=False)
    assert intruder._process is not None
    assert intruder._process.wait(30) == 1
    assert "is still running" in one.tail()
    assert one.ok("ps", "--format", "{{.Names}}") == "same"


@ours_alone
def test_a_reload_takes_what_it_can_and_a_wrong_one_nothing(
    make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    settings = tmp_path / "daemon.json"
    settings.write_text("{}")
    engine = make_engine("--config-file", str(settings), load=False)

    def reload(**values: object) -> None:
        settings.write_text(json.dumps(values))
        assert engine._process is not None
        engine._process.send_signal(signal.SIGHUP)

    def debug(wanted: str) -> None:
        deadline = time.monotonic() + 20
        while engine.ok("info", "-f", "{{.Debug}}") != wanted:
            assert time.monotonic() < deadline, engine.tail()
            time.sleep(0.05)

    reload(debug=True, labels=["a=b"])
    debug("true")
    assert engine.ok("info", "-f", "{{.Labels}}") == "[a=b]"
    reload(debug="no such value", labels=["c=d"])
    time.sleep(0.3)
    assert engine.ok("info", "-f", "{{.Debug}} {{.Labels}}") == "true [a=b]"
    reload(debug=False, labels=["c=d"])
    debug("false")
    assert engine.ok("info", "-f", "{{.Labels}}") == "[c=d]"


@ours_alone
@pytest.mark.parametrize(("arguments", "code", "words"), [
    (["--no-such-flag"], 2, "unknown flag: --no-such-flag"),
    (["--host", "nonsense://x"], 1, "nonsense://x"),
    (["--config-file", "/nowhere/daemon.json"], 1, "/nowhere/daemon.json"),
    (["--assembly", "nothing"], 1, "no assembly named 'nothing'"),
    (["--default-runtime", "nothing"], 1, "specified default runtime 'nothing' does not exist"),
    (["--bip", "10.1.1.1/24"], 1, "You specified -b & --bip, mutually exclusive options."),
])  # fmt: skip
def test_what_is_wrong_with_a_command_line_is_said_in_one_line(
    tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "moby.cli.mobyd", "--data-root", str(tmp_path / "data"),
            "--exec-root", str(tmp_path / "exec"), "--pidfile", str(tmp_path / "pid"),
            "--host", f"unix://{tmp_path}/d.sock", "--bridge", "mobytnone0", *arguments,
        ],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    said = [line for line in done.stderr.splitlines() if words in line]
    assert said, done.stderr
    assert "Traceback" not in done.stderr
