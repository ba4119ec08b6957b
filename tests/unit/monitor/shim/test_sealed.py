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
@pytest.mark.parametrize("replaced", [False, True])
def test_a_runtime_is_the_copy_of_what_is_installed(
    sealed: SealedProgram, program: Path, tmp_path: Path, replaced: bool
) -> None:
    if replaced:
        program.unlink()
        program.write_text(f"#!/bin/sh\necho installed >{tmp_path}/said\n")
        program.chmod(0o755)
    loop = Loop()
    runtime = OciRuntime(Children(loop), str(program), str(tmp_path), "/nowhere", "box", sealed)
    outcome = begin(runtime.start())
    while not outcome.done:
        loop.turn()
    assert (tmp_path / "said").exists() == replaced
