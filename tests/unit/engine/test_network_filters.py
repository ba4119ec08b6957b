"""Filters on networks."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.core.filters import Filters
from moby.core.networks import Network
from moby.engine.network_filters import list_filter, prune_filter

NETWORKS = [
    Network("1" * 64, "bridge", "bridge", "2020-01-01T00:00:00Z"),
    Network("2" * 64, "web", "bridge", "2020-01-01T00:00:00Z", labels={"a": "b"}),
    Network("3" * 64, "db", "macvlan", "2024-01-01T00:00:00Z"),
    Network("4" * 64, "template", "null", "2020-01-01T00:00:00Z", config_only=True),
]


def used(network: Network) -> bool:
    return network.name == "web"


def listed(**fields: list[str]) -> list[str]:
    return [network.name for network in filter(list_filter(Filters(fields), used), NETWORKS)]


def pruned(**fields: list[str]) -> list[str]:
    fields = {key.replace("_not", "!"): value for key, value in fields.items()}
    return [network.name for network in filter(prune_filter(Filters(fields), lambda _: False), NETWORKS)]


def test_lists() -> None:
    assert listed() == ["bridge", "web", "db", "template"]
    assert listed(name=["^w", "d"]) == ["bridge", "web", "db"]
    assert listed(name=["[w"]) == []
    assert listed(id=["^3"]) == ["db"]
    assert listed(driver=["macvlan"]) == ["db"]
    assert listed(label=["a=b"]) == ["web"]
    assert listed(type=["builtin"]) == ["bridge"]
    assert listed(type=["custom", "builtin"]) == ["bridge", "web", "db", "template"]
    assert listed(dangling=["true"]) == ["db", "template"]
    assert listed(dangling=["false"]) == ["bridge", "web"]
    assert len(listed(dangling=[], driver=[], scope=[], type=[], name=[])) == len(NETWORKS)
    assert listed(scope=["local"], driver=["bridge"]) == ["bridge", "web"]


def test_prunes() -> None:
    assert pruned() == ["web", "db"]
    assert pruned(label=["a"]) == ["web"]
    assert pruned(label_not=["a"]) == ["db"]
    assert pruned(until=["2022-01-01T00:00:00Z"]) == ["web"]


@pytest.mark.parametrize(
    "fields",
    [{"type": ["x"]}, {"dangling": ["x"]}, {"dangling": ["0", "1"]}, {"until": ["1h"]}],
)
def test_bad_filters_of_lists(fields: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidParameter):
        list_filter(Filters(fields), used)


@pytest.mark.parametrize("fields", [{"name": ["x"]}, {"until": ["1h", "2h"]}, {"until": ["x"]}])
def test_bad_filters_of_prunes(fields: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidParameter):
        prune_filter(Filters(fields), used)
