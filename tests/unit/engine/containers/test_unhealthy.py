"""The label that has unhealthy containers restarted."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.engine.containers.own_labels import RESTART_LABEL
from moby.engine.containers.unhealthy import most_restarts


@pytest.mark.parametrize(
    ("text", "most"), [("on-unhealthy", -1), ("on-unhealthy:3", 3), ("on-unhealthy:0", 0)]
)
def test_how_often(text: str, most: int) -> None:
    assert most_restarts({RESTART_LABEL: text}) == most


def test_not_at_all() -> None:
    assert most_restarts({"other": "on-unhealthy"}) is None


@pytest.mark.parametrize(
    "text", ["", "always", "on-unhealthy:", "on-unhealthy:-1", "on-unhealthy:x", "on-unhealthy:1:2"]
)
def test_labels_that_mean_nothing(text: str) -> None:
    with pytest.raises(InvalidParameter):
        most_restarts({RESTART_LABEL: text})
