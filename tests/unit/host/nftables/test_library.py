"""What nft says, as our errors."""

from __future__ import annotations

import pytest

from moby.core.errors import Conflict, InvalidParameter, MobyError, NotFound, System
from moby.host.nftables.library import _error


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        pytest.param(
            "<cmdline>:1:1-9: Error: Could not process rule: No such file or directory\n", NotFound, id="gone"
        ),
        pytest.param("Error: Could not process rule: File exists", Conflict, id="there"),
        pytest.param("Error: syntax error, unexpected redirect", InvalidParameter, id="syntax"),
        pytest.param("", System, id="silent"),
    ],
)
def test_errors_have_the_class_of_what_was_said(said: str, kind: type[MobyError]) -> None:
    error = _error(said)
    assert type(error) is kind
    assert error.message.startswith("nftables: ")
    assert "<cmdline>" not in error.message
