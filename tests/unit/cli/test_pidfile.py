"""The file that says which process the daemon is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from moby.cli.pidfile import pidfile
from moby.core.errors import Conflict


def test_it_is_there_while_the_block_runs(tmp_path: Path) -> None:
    path = tmp_path / "below" / "pid"
    with pidfile(str(path)):
        assert path.read_text() == str(os.getpid())
    assert not path.exists()
    with pidfile(""):
        pass


def test_a_living_daemon_is_not_pushed_aside(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    code = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "mobyd"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as daemon:
        assert daemon.stdout is not None
        daemon.stdout.readline()
        path.write_text(f"{daemon.pid}\n")
        with pytest.raises(Conflict) as error, pidfile(str(path)):
            raise AssertionError
        assert path.read_text() == f"{daemon.pid}\n"
        daemon.communicate()
    assert error.value.message == (
        f"failed to start daemon, ensure docker is not running or delete {path}: "
        f"process with PID {daemon.pid} is still running"
    )
    with pidfile(str(path)):
        assert path.read_text() == str(os.getpid())


@pytest.mark.parametrize("text", ["", "nonsense", "-1", "0", "99999999", str(os.getppid())])
def test_what_names_no_living_daemon_is_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pid"
    path.write_text(text)
    with pidfile(str(path)):
        assert path.read_text() == str(os.getpid())
    assert not path.exists()


def test_another_s_file_is_left(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with pidfile(str(path)):
        path.write_text("1")
    assert path.read_text() == "1"


def test_a_file_that_is_gone_is_no_error(tmp_path: Path) -> None:
    with pidfile(str(tmp_path / "pid")):
        (tmp_path / "pid").unlink()
