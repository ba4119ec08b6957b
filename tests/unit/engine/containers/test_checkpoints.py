from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.engine.containers.checkpoints import check_checkpoint


@pytest.mark.parametrize("name", ["one", "a1", "x.y_z-9"])
def test_names(name: str) -> None:
    check_checkpoint(name)


@pytest.mark.parametrize("name", ["", "x", ".one", "/one", "../one", "a/b", "one.", "a b", "-a"])
def test_names_that_lead_elsewhere(name: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid checkpoint ID"):
        check_checkpoint(name)
