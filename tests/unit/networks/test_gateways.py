"""Who gives the way out."""

from __future__ import annotations

from moby.core.networks import Endpoint, PortMapping
from moby.networks.gateways import moved, with_ways_out

WEB = (PortMapping("tcp", 80),)


def endpoint(name: str, gateway: str = "10.0.0.1", gateway6: str = "", priority: int = 0) -> Endpoint:
    return Endpoint(
        name, f"{name}-id", name, "s", gateway=gateway, gateway6=gateway6, priority=priority,
        default_route=False, default_route6=False,
    )  # fmt: skip


def chosen(*endpoints: Endpoint, internal: tuple[str, ...] = ()) -> tuple[str, str]:
    found = with_ways_out(endpoints, {f"{name}-id": True for name in internal}, WEB)
    assert all(bool(one.ports) == (one.default_route or one.default_route6) for one in found)
    first = [one.id for one in found if one.default_route]
    second = [one.id for one in found if one.default_route6]
    return "".join(first), "".join(second)


def test_the_first_by_name() -> None:
    assert chosen(endpoint("b"), endpoint("a")) == ("a", "")


def test_the_one_with_both_families() -> None:
    assert chosen(endpoint("a"), endpoint("b", gateway6="fd00::1")) == ("b", "b")


def test_the_highest_priority() -> None:
    assert chosen(endpoint("a", gateway6="fd00::1"), endpoint("b", priority=1)) == ("b", "a")


def test_an_internal_one_last() -> None:
    assert chosen(endpoint("a"), endpoint("b"), internal=("a",)) == ("b", "")


def test_nobody_without_a_gateway() -> None:
    assert chosen(endpoint("a", gateway="")) == ("", "")


def test_what_moved() -> None:
    (routed,) = with_ways_out([endpoint("a")], {}, WEB)
    assert moved(endpoint("a"), routed)
    assert not moved(routed, routed)
