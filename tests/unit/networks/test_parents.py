"""Networks on parent devices."""

from __future__ import annotations

import msgspec
import pytest

from moby.core.errors import InvalidParameter, NotImplemented
from moby.core.networks import Network
from moby.networks.parents import chosen, is_inside, parent_of

MODES = {"a": 1, "b": 2}


def network(internal: bool = False, **options: str) -> Network:
    return Network("1" * 64, "net", "macvlan", "", options=options, internal=internal)


def test_the_parent_that_is_named_or_one_of_its_own() -> None:
    assert parent_of(network(parent="eth0.5"), "macvlan", []) == "eth0.5"
    assert parent_of(network(), "macvlan", []) == "dm-111111111111"


def test_who_is_inside() -> None:
    assert is_inside(network())
    assert is_inside(network(internal=True, parent="eth0"))
    assert not is_inside(network(parent="eth0"))


def test_what_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="loopback interface is not a valid macvlan parent link"):
        parent_of(network(parent="lo"), "macvlan", [])
    with pytest.raises(NotImplemented, match=r"macvlan network option com\.docker\.network\.odd"):
        parent_of(msgspec.structs.replace(network(), options={"com.docker.network.odd": "1"}), "macvlan", [])
    assert parent_of(network(parent="eth0", odd="1"), "macvlan", ["mode"]) == "eth0"
    with pytest.raises(InvalidParameter):
        parent_of(network(parent="a b"), "macvlan", [])


def test_what_an_option_stands_for() -> None:
    assert chosen(network(mode="b"), "mode", MODES, "a", "{}") == 2
    assert chosen(network(), "mode", MODES, "a", "{}") == 1
    with pytest.raises(InvalidParameter, match="mode 'c' is not valid"):
        chosen(network(mode="c"), "mode", MODES, "a", "mode '{}' is not valid")
