"""Wiring: from annotated needs to running objects, and back in reverse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import msgspec
import pytest

from moby.core.errors import InvalidParameter, System, Unavailable
from moby.core.logs import LogDriver
from moby.core.store import Store
from moby.framework.assembly import Assembly, Chosen
from moby.framework.registry import Component
from moby.framework.wiring import Wiring

steps: list[str] = []


@pytest.fixture(autouse=True)
def _forget() -> None:
    steps.clear()


class Given:
    """Something from outside."""


class ExampleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A component's own settings."""

    size: int = 1


class First:
    """Has a life of its own."""

    def __init__(self, given: Given) -> None:
        self.given = given

    async def __aenter__(self) -> Self:
        steps.append("first starts")
        return self

    async def __aexit__(self, *_: object) -> None:
        steps.append("first stops")

    async def health(self) -> str:
        return "ok, quite"


class Second:
    """Needs the first, by its role, and settings."""

    def __init__(self, store: Store, settings: ExampleSettings) -> None:
        self.store, self.settings = store, settings

    async def __aenter__(self) -> Self:
        steps.append("second starts")
        return self

    async def __aexit__(self, *_: object) -> None:
        steps.append("second stops")


class Gatherer:
    """Needs every log driver."""

    def __init__(self, logs: Mapping[str, LogDriver]) -> None:
        self.logs = logs


class Broken:
    """Cannot start here."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def __aenter__(self) -> Self:
        raise Unavailable("no such kernel")

    async def __aexit__(self, *_: object) -> None:
        raise AssertionError


class Circular:
    """Needs itself."""

    def __init__(self, store: Store) -> None:
        self.store = store


def chosen(role: str, name: str, kind: type, *, required: bool = True, **settings: Any) -> Chosen:
    """A component of this module."""
    return Chosen(Component(role, name, f"{__name__}:{kind.__name__}"), settings, f"a.yml:{role}", required)


async def test_needs_are_started_first_and_stopped_last() -> None:
    assembly = Assembly("a", (chosen("logs", "second", Second, size=5), chosen("store", "first", First)))
    async with Wiring(assembly, {Given: (given := Given())}) as wired:
        assert steps == ["first starts", "second starts"]
        second = wired.all("logs")["second"]
        assert isinstance(second, Second)
        assert second.settings == ExampleSettings(5)
        assert isinstance(second.store, First)
        assert second.store.given is given
        assert await wired.need(Store) is second.store
        assert [(one.component, one.state) for one in await wired.health()] == [
            ("logs/second", "ok"), ("store/first", "ok, quite"),
        ]  # fmt: skip
    assert steps == ["first starts", "second starts", "second stops", "first stops"]


async def test_all_of_a_role_are_handed_over_by_name() -> None:
    assembly = Assembly("a", (
        chosen("images", "gatherer", Gatherer), chosen("logs", "a", Given), chosen("logs", "b", Given),
    ))  # fmt: skip
    async with Wiring(assembly, {}) as wired:
        assert set(wired.all("images")["gatherer"].logs) == {"a", "b"}


async def test_a_start_that_fails_stops_what_was_started() -> None:
    assembly = Assembly("a", (chosen("store", "first", First), chosen("logs", "broken", Broken)))
    with pytest.raises(Unavailable, match="no such kernel"):
        async with Wiring(assembly, {Given: Given()}):
            raise AssertionError
    assert steps == ["first starts", "first stops"]


async def test_what_is_not_required_may_be_absent() -> None:
    assembly = Assembly("a", (
        chosen("store", "first", First), chosen("logs", "broken", Broken, required=False),
    ))  # fmt: skip
    async with Wiring(assembly, {Given: Given()}) as wired:
        assert wired.all("logs") == {}
        found = {one.component: (one.state, one.cause) for one in await wired.health()}
        assert found["logs/broken"] == ("absent", "no such kernel")


async def test_circles_wrong_settings_and_missing_parts_are_told_with_their_place() -> None:
    circle = Assembly("a", (chosen("store", "itself", Circular),))
    with pytest.raises(InvalidParameter, match=r"a\.yml:store: components need each other in a circle"):
        await Wiring(circle, {}).__aenter__()
    wrong = Assembly("a", (chosen("logs", "second", Second, size="big"), chosen("store", "first", First)))
    with pytest.raises(InvalidParameter, match=r"a\.yml:logs: .*size"):
        await Wiring(wrong, {Given: Given()}).__aenter__()
    none = Assembly("a", (chosen("store", "first", First, size=1),))
    with pytest.raises(InvalidParameter, match="takes no settings: size"):
        await Wiring(none, {Given: Given()}).__aenter__()
    lonely = Assembly("a", (chosen("store", "first", First),))
    with pytest.raises(System, match=r"a\.yml:store: nothing provides Given"):
        await Wiring(lonely, {}).__aenter__()
