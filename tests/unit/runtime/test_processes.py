"""What an OCI runtime says when a container ends around a command is told from what the command did wrong."""

from __future__ import annotations

import pytest

from moby.core.errors import System
from moby.runtime.processes import was_killed


@pytest.mark.parametrize(
    ("words", "killed"),
    [
        pytest.param("crun did not terminate successfully: signal: killed", True, id="the runtime"),
        pytest.param("OCI runtime exec failed: No such process", True, id="the first process"),
        pytest.param("OCI runtime exec failed: write to sync socket: Broken pipe", True, id="what had begun"),
        pytest.param("OCI runtime exec failed: executable file not found in $PATH", False, id="no program"),
    ],
)
def test_an_end_around_a_command(words: str, killed: bool) -> None:
    assert was_killed(System(words)) is killed
