"""`docker exec`: output, exit codes, terminals, standard input, users, detached commands, restarts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest
from docker.errors import APIError, NotFound

from tests.clients.conftest import KIND
from tests.clients.engine import Engine
from tests.clients.terminal import Terminal

ours_alone = pytest.mark.skipif(KIND != "mobyd", reason="dockerd loses its exec instances")


@pytest.fixture
def box(engine: Engine) -> Iterator[str]:
    """A container to run commands in."""
    name = engine.ok("run", "-d", "-e", "FROM=container", "-w", "/tmp", "busybox", "sleep", "600")
    yield name
    engine.docker("rm", "-f", name)


def test_output_goes_to_the_stream_it_was_written_to(engine: Engine, box: str) -> None:
    result = engine.docker("exec", box, "sh", "-c", "echo out; echo err >&2; exit 9")
    assert (result.code, result.out, result.err) == (9, "out\n", "err\n")


def test_input_reaches_the_command_and_its_end_too(engine: Engine, box: str) -> None:
    assert engine.ok("exec", "-i", box, "wc", "-c", input="x" * 300_000) == "300000"
    assert engine.ok("exec", box, "cat") == ""


def test_environment_directory_and_user(engine: Engine, box: str) -> None:
    script = "echo $FROM $MORE $HOME; pwd; id -u; id -g"
    assert engine.ok("exec", box, "sh", "-c", script).split() == ["container", "/root", "/tmp", "0", "0"]
    out = engine.ok(
        "exec", "-e", "MORE=exec", "-e", "FROM", "-w", "/", "-u", "nobody:1234", box, "sh", "-c", script
    )
    assert out.split()[0] == "exec"
    assert out.split()[-3:] == ["/", "65534", "1234"]


def test_limits_of_the_container_hold_and_privileged_lifts_them(engine: Engine, box: str) -> None:
    def status(*options: str) -> dict[str, str]:
        text = engine.ok("exec", *options, box, "cat", "/proc/self/status")
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    assert (status()["CapEff"], status()["Seccomp"]) == ("00000000a80425fb", "2")
    assert status("-u", "1000")["CapEff"] == "0000000000000000"
    assert int(status("--privileged")["CapEff"], 16) > 0xA80425FB
    assert engine.docker("exec", box, "mount", "-t", "tmpfs", "x", "/mnt").code != 0


@pytest.mark.parametrize(("command", "code", "words"), [
    ("no-such-command", 127, "executable file not found in $PATH"),
    ("/etc/passwd", 126, 'exec: "/etc/passwd": permission denied'),
    ("/etc", 126, 'exec: "/etc": permission denied'),
])  # fmt: skip
def test_what_cannot_be_run_says_why(engine: Engine, box: str, command: str, code: int, words: str) -> None:
    result = engine.docker("exec", box, command)
    assert result.code == code
    assert words in result.out + result.err
    assert result.out.count("OCI runtime exec failed") <= 1


def test_a_directory_is_named_from_the_root(engine: Engine, box: str) -> None:
    for directory in ("etc", "../etc", "nowhere"):
        said = engine.docker("exec", "-w", directory, box, "pwd")
        assert (said.out, said.code) == (
            "OCI runtime exec failed: exec failed: Cwd must be an absolute path: unknown\n", 128
        )  # fmt: skip
    assert engine.ok("exec", "-w", "/tmp/../etc", box, "pwd") == "/etc"


def test_an_unknown_user_is_refused_before_anything_runs(engine: Engine, box: str) -> None:
    assert "unable to find user nobody-knows" in engine.fails("exec", "-u", "nobody-knows", box, "true")


def test_a_detached_command_runs_on(engine: Engine, box: str) -> None:
    assert engine.ok("exec", "-d", box, "sh", "-c", "sleep 0.2; echo done > /tmp/file") == ""
    deadline = time.monotonic() + 20
    while engine.docker("exec", box, "cat", "/tmp/file").out != "done\n":
        assert time.monotonic() < deadline
    with engine.client() as client:
        made = client.api.exec_create(box, ["tty"], tty=True)
        assert client.api.exec_start(made["Id"], detach=True) in (b"", "")


def test_a_shell_on_a_terminal(engine: Engine, box: str) -> None:
    with Terminal(engine, "exec", "-it", box, "sh") as terminal:
        terminal.read_until("# ")
        terminal.type("tty; echo $((6*7))\n")
        terminal.read_until("/dev/pts/0")
        terminal.read_until("42")
        terminal.type("exit 3\n")
        assert terminal.process.wait(20) == 3


def test_keys_detach_and_the_command_runs_on(engine: Engine, box: str) -> None:
    with Terminal(
        engine, "exec", "-it", "--detach-keys", "ctrl-x,x", box, "sh", "-c", "echo on; sleep 500"
    ) as terminal:
        terminal.read_until("on")
        terminal.type("\x18x")
        terminal.process.wait(20)
    assert "sleep 500" in engine.ok("exec", box, "ps")


def test_only_what_runs_takes_commands(engine: Engine, box: str) -> None:
    engine.ok("pause", box)
    assert "is paused, unpause the container before exec" in engine.fails("exec", box, "true")
    engine.ok("unpause", box)
    engine.ok("kill", box)
    assert "is not running" in engine.fails("exec", box, "true")
    assert "No such container: nothing" in engine.fails("exec", "nothing", "true")


def test_inspect_tells_what_it_is_and_how_it_ended(engine: Engine, box: str) -> None:
    with engine.client() as client:
        made = client.api.exec_create(box, ["sh", "-c", "exit 4"], stdin=True, user="nobody")["Id"]
        before = client.api.exec_inspect(made)
        assert (before["Running"], before["ExitCode"], before["OpenStdin"]) == (False, None, True)
        assert before["ProcessConfig"] == {
            "tty": False, "entrypoint": "sh", "arguments": ["-c", "exit 4"], "privileged": False, "user": "nobody",
        }  # fmt: skip
        assert made in client.api.inspect_container(box)["ExecIDs"]
        client.api.exec_start(made)
        after = client.api.exec_inspect(made)
        assert (after["Running"], after["ExitCode"], after["ContainerID"]) == (False, 4, box)
        assert after["Pid"] > 0
        assert client.api.inspect_container(box)["ExecIDs"] is None
        with pytest.raises(APIError, match="has already run") as error:
            client.api.exec_start(made, detach=True)
        assert error.value.status_code == 409
        with pytest.raises(NotFound, match="No such exec instance"):
            client.api.exec_inspect("nothing")


def test_streams_may_be_kept_apart(engine: Engine, box: str) -> None:
    with engine.client() as client:
        code, (out, err) = client.containers.get(box).exec_run(
            ["sh", "-c", "echo out; echo err >&2; exit 2"], demux=True
        )
    assert (code, out, err) == (2, b"out\n", b"err\n")


def test_no_command_is_an_error(engine: Engine, box: str) -> None:
    answer = engine.raw(
        f"POST /containers/{box}/exec HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
        "Content-Length: 2\r\nConnection: close\r\n\r\n{}".encode()
    )
    assert b" 400 " in answer.splitlines()[0]
    assert b"No exec command specified" in answer


def test_events_tell_of_it(engine: Engine, box: str) -> None:
    since = str(time.time())
    engine.docker("exec", box, "sh", "-c", "exit 5")
    lines = engine.ok(
        "events",
        "--since",
        since,
        "--until",
        str(time.time() + 1),
        "--filter",
        f"container={box}",
        "--format",
        "{{json .}}",
    )
    events = [json.loads(line) for line in lines.splitlines()]
    assert [event["Action"] for event in events] == [
        "exec_create: sh -c exit 5",
        "exec_start: sh -c exit 5",
        "exec_die",
    ]
    assert events[-1]["Actor"]["Attributes"]["exitCode"] == "5"
    assert len({event["Actor"]["Attributes"]["execID"] for event in events}) == 1


def test_many_at_once(engine: Engine, box: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda n: engine.docker("exec", box, "sh", "-c", f"echo {n}; exit {n}"), range(24))
        )
    assert [(result.code, result.out) for result in found] == [(n, f"{n}\n") for n in range(24)]


def test_a_process_left_behind_does_not_hold_the_client(engine: Engine, box: str) -> None:
    began = time.monotonic()
    assert engine.ok("exec", box, "sh", "-c", "sleep 100 & echo gone") == "gone"
    assert time.monotonic() - began < 30


def test_they_end_with_their_container(engine: Engine, box: str) -> None:
    with engine.spawn("exec", box, "sh", "-c", "echo on; sleep 500") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        engine.ok("kill", box)
        assert process.wait(20) == 137


@ours_alone
def test_a_session_outlives_the_daemon(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    box = engine.ok("run", "-d", "busybox", "sleep", "600")
    script = "while read line; do echo got $line; [ $line != end ] || exit 6; done"
    with engine.spawn("exec", "-i", box, "sh", "-c", script, stdin=-1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("one\n")
        process.stdin.flush()
        assert process.stdout.readline() == "got one\n"
        engine.kill()
        process.stdin.write("two\n")
        process.stdin.flush()
        assert process.stdout.readline() == "got two\n"
        engine.start()
        instance = json.loads(engine.ok("inspect", box))[0]["ExecIDs"][0]
        process.stdin.write("end\n")
        process.stdin.flush()
        assert process.wait(20) == 6
    with engine.client() as client:
        assert client.api.exec_inspect(instance)["ExitCode"] == 6


@ours_alone
def test_what_ended_while_the_daemon_was_away_is_known(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    box = engine.ok("run", "-d", "busybox", "sleep", "600")
    with engine.client() as client:
        made = client.api.exec_create(box, ["sh", "-c", "sleep 1; exit 8"])["Id"]
        client.api.exec_start(made, detach=True)
    engine.kill()
    time.sleep(1.5)
    engine.start()
    with engine.client() as client:
        assert client.api.exec_inspect(made)["ExitCode"] == 8
