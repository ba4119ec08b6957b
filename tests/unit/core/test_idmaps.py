from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.core.idmaps import NO_MAP, OVERFLOW, IdMap, IdRange

TWO = IdMap((IdRange(0, 1000, 10), IdRange(10, 5000, 5)), (IdRange(0, 2000, 20),))


def test_numbers_go_out_and_come_back() -> None:
    assert TWO.root == (1000, 2000)
    assert TWO.to_host(12, 19) == (5002, 2019)
    assert TWO.to_container(5002, 2019) == (12, 19)


def test_who_is_nobody_inside() -> None:
    assert TWO.to_container(0, 2020) == (OVERFLOW, OVERFLOW)
    with pytest.raises(InvalidParameter, match="Container ID 15 cannot be mapped to a host ID"):
        TWO.to_host(15, 0)


def test_without_a_map_everybody_is_himself() -> None:
    assert not NO_MAP
    assert TWO
    assert NO_MAP.to_host(7, 8) == NO_MAP.to_container(7, 8) == (7, 8)
