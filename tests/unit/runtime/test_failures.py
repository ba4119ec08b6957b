from __future__ import annotations

import pytest

from moby.core.errors import Conflict, InvalidParameter, NotFound, System, Unavailable
from moby.runtime.failures import reason, reworded

SHIM = "failed to create shim task: OCI runtime create failed: "
NOT_FOUND = 'unable to start container process: exec: "x": executable file not found in $PATH: unknown'


@pytest.mark.parametrize(
    ("theirs", "ours", "why"),
    [
        pytest.param(
            f"runc create failed: {NOT_FOUND}", f"runc create failed: {NOT_FOUND}", "not-found", id="runc"
        ),
        pytest.param(
            "executable file `x` not found in $PATH: No such file or directory: unknown",
            NOT_FOUND,
            "not-found",
            id="crun",
        ),
        pytest.param(
            "crun: executable file `x` not found: No such file or directory: unknown",
            NOT_FOUND,
            "not-found",
            id="crun-1.15",
        ),
        pytest.param(
            "the path `x` exists but it is not executable: Operation not permitted: unknown",
            'unable to start container process: exec: "x": permission denied: unknown',
            "not-executable",
            id="crun-1.21-not-executable",
        ),
        pytest.param(
            "open executable: Permission denied: unknown",
            'unable to start container process: exec: "/etc": permission denied: unknown',
            "not-executable",
            id="crun-not-executable",
        ),
        pytest.param(
            "open executable: Operation not permitted: unknown",
            'unable to start container process: exec: "/etc": permission denied: unknown',
            "not-executable",
            id="crun-directory",
        ),
        pytest.param(
            'runc create failed: exec: "/bin": is a directory: unknown',
            'runc create failed: exec: "/bin": is a directory: unknown',
            "not-executable",
            id="runc-1.2-directory",
        ),
        pytest.param(
            "mount `/a` to `b`: Not a directory: unknown",
            "mount `/a` to `b`: not a directory: unknown",
            "not-found",
            id="mount",
        ),
    ],
)
def test_both_runtimes_say_it_in_the_same_words(theirs: str, ours: str, why: str) -> None:
    error = reworded(System(SHIM + theirs), program="/etc", doing="failed to create task for container")
    assert type(error) is InvalidParameter
    assert error.message == f"failed to create task for container: {SHIM}{ours}"
    assert error.fields["reason"] == why


def test_no_name_is_no_program() -> None:
    error = reworded(System(f"{SHIM}open executable: Permission denied: unknown"), program="")
    words = 'unable to start container process: exec: "": executable file not found in $PATH: unknown'
    assert error.message == f"{SHIM}{words}"
    assert error.fields["reason"] == "not-found"


def test_what_is_nobodys_program_stays_what_it_is() -> None:
    error = reworded(System(f"{SHIM}cannot set memory limit: unknown"))
    assert type(error) is System
    assert error.fields["reason"] is None


@pytest.mark.parametrize("error", [NotFound("no such file or directory"), Unavailable("x"), Conflict("y")])
def test_what_containerd_says_of_itself_is_left_alone(error: Unavailable) -> None:
    assert reworded(error) is error


def test_a_reason_is_one_that_has_an_exit_status() -> None:
    assert reason("exec: permission denied") == "not-executable"
    assert reason("No such file or directory") == "not-found"
    assert reason("out of memory") is None
