from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.engine.containers.names import check_name, random_name


@pytest.mark.parametrize("name", ["web", "/web", "a1_-.x", "0x"])
def test_allowed(name: str) -> None:
    assert check_name(name) == name.removeprefix("/")


@pytest.mark.parametrize("name", ["a", "", "-x1", "a b", "a/b", "ä1", "x\n", "//ab"])
def test_refused_in_dockerd_words(name: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_name(name)
    assert str(caught.value) == f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"


def test_random_names_are_allowed() -> None:
    for attempt in range(200):
        check_name(random_name(attempt))
