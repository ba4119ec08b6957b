"""A program is run from memory where that is the program that is installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from moby.monitor.loop import Children, Loop, begin, hear_of_children
from moby.monitor.shim.oci import OciRuntime
from moby.monitor.shim.sealed import SealedProgram, find_program, seal


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program of its own, `readlink`."""
    return Path(shutil.copy(find_program("readlink"), tmp_path / "crun"))


@pytest.fixture
def sealed(program: Path) -> Iterator[SealedProgram]:
    """Its copy."""
    made = seal(str(program))
    assert made is not None
    yield made
    os.close(made.descriptor)


def run_by(sealed: SealedProgram) -> str:
    return subprocess.run(
        ["crun", "/proc/self/exe"],
        executable=sealed.executable,
        pass_fds=(sealed.descriptor,),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_it_runs_from_memory(sealed: SealedProgram) -> None:
    assert run_by(sealed) == "/memfd:crun (deleted)"


def test_nobody_can_write_to_it(sealed: SealedProgram) -> None:
    with pytest.raises(PermissionError):
        os.pwrite(sealed.descriptor, b"x", 0)
    with pytest.raises(PermissionError):
        os.truncate(sealed.descriptor, 0)


def test_it_is_that_program_until_another_is_installed(
    sealed: SealedProgram, program: Path, tmp_path: Path
) -> None:
    assert sealed.is_still(str(program))
    assert not sealed.is_still(find_program("readlink"))
    shutil.copy(program, tmp_path / "new")
    (tmp_path / "new").replace(program)
    assert not sealed.is_still(str(program))
    program.unlink()
    assert not sealed.is_still(str(program))


def test_what_cannot_be_copied_is_run_as_ever(tmp_path: Path) -> None:
    script = tmp_path / "crun"
    script.write_text("#!/bin/sh\n")
    assert seal(str(script)) is None
    assert seal(str(tmp_path / "nothing")) is None
    assert find_program("no-such-command-anywhere") == ""


@pytest.fixture
def children() -> Iterator[None]:
    """Ends of children are heard of."""
    before = signal.getsignal(signal.SIGCHLD)
    hear_of_children()
    yield
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, before)


@pytest.mark.usefixtures("children")
@pytest.mark.parametrize("known", [True, False])
def test_a_runtime_is_the_copy_of_what_is_installed(
    sealed: SealedProgram, program: Path, tmp_path: Path, known: bool
) -> None:
    script(program, tmp_path)
    if known:
        sealed = sealed._replace(identity=state(program))
    run(sealed, program, tmp_path)
    assert (tmp_path / "said").exists() != known


@pytest.mark.usefixtures("children")
def test_a_copy_that_may_not_be_run_is_not_needed(
    sealed: SealedProgram, program: Path, tmp_path: Path
) -> None:
    script(program, tmp_path)
    run(sealed._replace(identity=state(program), descriptor=9999), program, tmp_path)
    assert (tmp_path / "said").exists()


def script(program: Path, directory: Path) -> None:
    """Install something else there, which says that it was run."""
    program.unlink()
    program.write_text(f"#!/bin/sh\necho installed >{directory}/said\n")
    program.chmod(0o755)


def state(program: Path) -> tuple[int, int, int, int]:
    """By what a program is known again."""
    found = program.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns


def run(sealed: SealedProgram, program: Path, tmp_path: Path) -> None:
    """Have a runtime called."""
    loop = Loop()
    runtime = OciRuntime(Children(loop), str(program), str(tmp_path), "/nowhere", "box", sealed)
    outcome = begin(runtime.start())
    while not outcome.done:
        loop.turn()
