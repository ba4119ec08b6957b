"""`docker run`: output, exit codes, terminals, standard input, detached containers."""

from __future__ import annotations

import os
import select
import subprocess
import tarfile
import time
import zlib

import pytest

from tests.clients.engine import Engine
from tests.clients.terminal import Terminal


def plain(data: bytes) -> bytes:
    """What a blob is when it is not compressed."""
    return zlib.decompress(data, 31) if data.startswith(b"\x1f\x8b") else data


def test_output_goes_to_the_stream_it_was_written_to(engine: Engine) -> None:
    result = engine.docker("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2")
    assert (result.code, result.out, result.err) == (0, "out\n", "err\n")


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_exit_code_is_the_commands(engine: Engine, code: int) -> None:
    assert engine.docker("run", "--rm", "busybox", "sh", "-c", f"exit {code}").code == code


def test_a_command_killed_by_a_signal_exits_with_128_and_the_signal(engine: Engine) -> None:
    script = "echo ready; exec sleep 60"
    with engine.spawn("run", "--rm", "--name", "victim", "busybox", "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        engine.ok("kill", "-s", "KILL", "victim")
        assert process.wait(20) == 137


def test_standard_input_reaches_the_command_and_ends(engine: Engine) -> None:
    assert engine.ok("run", "--rm", "-i", "busybox", "cat", input="one\ntwo\n") == "one\ntwo"


def test_a_megabyte_goes_in_and_out(engine: Engine) -> None:
    text = "0123456789abcde\n" * 65536
    assert engine.docker("run", "--rm", "-i", "busybox", "cat", input=text).out == text


def test_output_without_an_end_of_line_arrives(engine: Engine) -> None:
    assert engine.docker("run", "--rm", "busybox", "printf", "no newline").out == "no newline"


def test_environment_directory_user_and_host_name(engine: Engine) -> None:
    out = engine.ok(
        "run", "--rm", "-e", "A=b c", "-w", "/tmp", "-u", "33:33", "-h", "box", "busybox",
        "sh", "-c", 'echo "$A"; pwd; id -u; id -g; hostname',
    )  # fmt: skip
    assert out.split("\n") == ["b c", "/tmp", "33", "33", "box"]


def test_a_container_can_tell_that_it_is_one(engine: Engine) -> None:
    """By a file that is there before it runs, is no change, and no part of an image that is made of it."""
    script = "stat -c '%n %a %u %g %s' /.docker*"
    engine.ok("create", "--name", "marked", "busybox", "sh", "-c", script)
    try:
        assert engine.ok("diff", "marked") == ""
        assert engine.ok("start", "--attach", "marked") == "/.dockerenv 755 0 0 0"
        engine.ok("commit", "marked", "unmarked")
        with subprocess.Popen(
            ["docker", "save", "unmarked"], stdout=subprocess.PIPE, env=engine.environment
        ) as saving:
            assert saving.stdout is not None
            with tarfile.open(fileobj=saving.stdout, mode="r|") as archive:
                for member in archive:
                    content = archive.extractfile(member)
                    assert content is None or b".dockerenv" not in plain(content.read())
    finally:
        engine.docker("rm", "marked")
        engine.docker("rmi", "unmarked")


def test_entry_point_is_replaced(engine: Engine) -> None:
    assert engine.ok("run", "--rm", "--entrypoint", "echo", "busybox", "hello") == "hello"


def test_rm_removes_the_container_and_its_anonymous_volume(engine: Engine) -> None:
    engine.ok("run", "--rm", "-v", "/data", "busybox", "touch", "/data/x")
    assert engine.ok("ps", "-aq") == ""
    assert engine.ok("volume", "ls", "-q") == ""


def test_a_detached_container_runs_on_and_its_id_is_printed(engine: Engine) -> None:
    identifier = engine.ok("run", "-d", "busybox", "sleep", "60")
    assert len(identifier) == 64
    assert engine.ok("inspect", "-f", "{{.State.Status}}", identifier) == "running"


def test_the_command_is_process_one_and_init_reaps(engine: Engine) -> None:
    assert engine.ok("run", "--rm", "busybox", "sh", "-c", "echo $$") == "1"
    assert engine.ok("run", "--rm", "--init", "busybox", "sh", "-c", "echo $$") != "1"


def test_memory_and_process_limits_reach_the_cgroup(engine: Engine) -> None:
    name = engine.ok("run", "-d", "-m", "64m", "--pids-limit", "50", "busybox", "sleep", "60")
    assert (
        engine.ok("inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}", name) == "67108864 50"
    )


def test_a_read_only_root_refuses_writing(engine: Engine) -> None:
    result = engine.docker("run", "--rm", "--read-only", "busybox", "touch", "/x")
    assert result.code == 1
    assert "Read-only file system" in result.err


def test_capabilities_are_the_default_ones(engine: Engine) -> None:
    plain = engine.ok("run", "--rm", "busybox", "grep", "CapEff", "/proc/self/status")
    assert plain.split()[1] == "00000000a80425fb"
    none = engine.ok("run", "--rm", "--cap-drop", "ALL", "busybox", "grep", "CapEff", "/proc/self/status")
    assert none.split()[1] == "0000000000000000"


def test_a_shell_on_a_terminal(engine: Engine) -> None:
    with Terminal(engine, "run", "--rm", "-it", "busybox", "sh") as terminal:
        terminal.read_until("# ")
        terminal.type("tty; echo $((6*7))\n")
        terminal.read_until("/dev/pts/0")
        terminal.read_until("42")
        terminal.type("exit 3\n")
        assert terminal.process.wait(20) == 3


def test_the_terminals_size_reaches_the_container(engine: Engine) -> None:
    import fcntl
    import struct
    import termios

    with Terminal(engine, "run", "--rm", "-it", "busybox", "sh") as terminal:
        terminal.read_until("# ")
        fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
        os.kill(terminal.process.pid, 28)  # SIGWINCH, which a terminal would send to its foreground
        for _ in range(50):
            terminal.type("stty size\n")
            time.sleep(0.1)
            if "33 101" in terminal.text or select.select([terminal.master], [], [], 0)[0]:
                terminal.text += os.read(terminal.master, 65536).decode(errors="replace")
            if "33 101" in terminal.text:
                break
        assert "33 101" in terminal.text


def test_detaching_by_keys_leaves_the_container_running_and_attaching_goes_on(engine: Engine) -> None:
    with Terminal(engine, "run", "-it", "--name", "keys", "busybox", "sh") as terminal:
        terminal.read_until("# ")
        terminal.type("\x10\x11")  # ctrl-p ctrl-q
        assert terminal.process.wait(20) == 0
    assert engine.ok("inspect", "-f", "{{.State.Running}}", "keys") == "true"
    with Terminal(engine, "attach", "keys") as terminal:
        terminal.type("echo $((40+2))\n")
        terminal.read_until("42")
        terminal.type("exit 5\n")
        assert terminal.process.wait(20) == 5


def test_attach_to_a_container_without_terminal_sees_what_comes(engine: Engine) -> None:
    script = "while read line; do echo got $line; [ $line != end ] || exit 4; done"
    engine.ok("run", "-d", "-i", "--name", "reader", "busybox", "sh", "-c", script)
    with engine.spawn("attach", "reader", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for word in ("one", "two", "end"):
            process.stdin.write(word + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == f"got {word}\n"
        assert process.wait(20) == 4


def test_interrupt_is_passed_on_to_the_command(engine: Engine) -> None:
    script = "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.1; done"
    with engine.spawn("run", "--rm", "busybox", "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(2)
        assert process.stdout.readline() == "caught\n"
        assert process.wait(20) == 9


def test_many_clients_at_once(engine: Engine) -> None:
    import concurrent.futures

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(
            pool.map(lambda n: engine.docker("run", "--rm", "busybox", "echo", str(n)).out, range(16))
        )
    assert results == [f"{n}\n" for n in range(16)]
