"""This file is about the filters of `docker ps` and `docker container prune`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Self

from moby.core.errors import InvalidParameter, System
from moby.core.filters import Filters
from moby.engine.containers.container import Container
from moby.engine.containers.index import Index
from moby.engine.containers.port_numbers import port_number
from moby.engine.containers.record import Record

_LISTED = frozenset(
    {"ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name",
     "network", "publish", "since", "status", "volume"}
)  # fmt: skip
_PRUNED = frozenset({"label", "label!", "until"})
_STATUSES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
_HEALTHS = ("none", "starting", "healthy", "unhealthy")

Ancestors = Callable[[str], frozenset[str]]
Check = Callable[[Container], bool]


class Matcher:
    """Decides which containers a list of filters lets through: every key, any of its values."""

    def __init__(self, checks: list[Check]) -> None:
        self._checks = checks

    @classmethod
    def for_list(
        cls,
        filters: Filters,
        index: Index,
        images: Mapping[str, frozenset[str]],
        links: Mapping[str, Sequence[str]],
    ) -> Self:
        """Filters of a list; `images` gives the image IDs that each `ancestor` value means.

        `links` are the names by others' links, by containers' IDs.
        """
        filters.check(_LISTED)
        checks = [
            _labels(filters, key) if key == "label" else _check(key, filters.values(key), index, images)
            for key in filters
            if key not in ("name", "publish", "expose")
        ]
        if names := filters.values("name"):
            checks.append(lambda c: _is_named((c.record.name, *links.get(c.id, ())), names))
        published, exposed = (_ports(key, filters.values(key)) for key in ("publish", "expose"))
        if published or exposed:
            checks.append(lambda c: c.record.state.running and _has_port(c.record, published, exposed))
        return cls(checks)

    @classmethod
    def for_prune(cls, filters: Filters) -> Self:
        """Filters of a prune."""
        filters.check(_PRUNED)
        checks: list[Check] = []
        for key in filters:
            values = filters.values(key)
            if key == "until":
                checks.append(_until(values))
            else:
                checks.append(_labels(filters, key))
        return cls(checks)

    def matches(self, container: Container) -> bool:
        """Is this container let through?"""
        return all(check(container) for check in self._checks)


def _labels(filters: Filters, key: str) -> Check:
    if key == "label!":
        return lambda c: not filters.labels_match(key, c.record.config.labels or {})
    return lambda c: filters.labels_match(key, c.record.config.labels or {})


def _check(key: str, values: list[str], index: Index, images: Mapping[str, frozenset[str]]) -> Check:
    match key:
        case "id":
            return lambda c: any(_like(value, c.id) for value in values)
        case "status":
            _one_of(key, values, _STATUSES, "state")
            return lambda c: c.status in values
        case "exited":
            codes = _numbers(values)
            return lambda c: (
                c.ever_started and not c.record.state.running and c.record.state.exit_code in codes
            )
        case "ancestor":
            wanted = frozenset().union(*(images.get(value, frozenset()) for value in values))
            return lambda c: c.record.image in wanted or c.record.config.image in values
        case "before" | "since":
            return _relative(key, values, index)
        case "network":
            return lambda c: any(
                name in values or settings.network_id in values
                for name, settings in c.record.networks.items()
            )
        case "volume":
            return lambda c: any(
                mount.volume in values or mount.point.destination in values for mount in c.record.mounts
            )
        case "health":
            _one_of(key, values, _HEALTHS, "health")
            return lambda c: (c.health.status if c.health is not None else "none") in values
        case "is-task":
            # No container is a service's.
            tasks = Filters({key: values}).flag(key, default=False)
            return lambda c: not tasks
        case _:
            # Isolation is something of another system's.
            return lambda _: True


def _is_named(names: Sequence[str], values: list[str]) -> bool:
    """Is one of these names meant, with the slash that a name has had or without it?"""
    return any(_like(value, form) for value in values for name in names for form in (f"/{name}", name))


def _has_port(record: Record, published: set[str], exposed: set[str]) -> bool:
    """Is one of these ports of the host's, or of the container's, among those that a list shows?"""
    for key, bindings in record.ports.items():
        protocol = key.partition("/")[2]
        if key in exposed or any(f"{one.host_port}/{protocol}" in published for one in bindings or ()):
            return True
    return False


def _like(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return pattern in text


def _one_of(key: str, values: list[str], known: Sequence[str], what: str) -> None:
    for value in values:
        if value not in known:
            raise InvalidParameter(
                f"invalid filter '{key}={value}': invalid value for {what} ({value}): "
                f"must be one of {', '.join(known)}"
            )


def _numbers(values: list[str]) -> frozenset[int]:
    for value in values:
        if not re.fullmatch(r"[+-]?[0-9]+", value):
            raise InvalidParameter(
                f"invalid filter 'exited={value}': strconv.Atoi: parsing \"{value}\": invalid syntax"
            )
    return frozenset(map(int, values))


def _relative(key: str, values: list[str], index: Index) -> Check:
    others = [index.find(value).record.created for value in values]
    if key == "before":
        return lambda c: any(_moment(c.record.created) < _moment(other) for other in others)
    return lambda c: any(_moment(c.record.created) > _moment(other) for other in others)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _until(values: list[str]) -> Check:
    if len(values) != 1:
        raise InvalidParameter("more than one until filter specified")
    limit = Filters.moment(values[0])
    return lambda c: _moment(c.record.created) < limit


def _ports(key: str, values: list[str]) -> set[str]:
    found = set()
    for value in values:
        if ":" in value:
            raise System(f"filter for '{key}' should not contain ':': {value}")
        try:
            found |= _port_range(value)
        except ValueError as error:
            # The one wrong value of a list that dockerd takes for a failure of its own.
            raise System(f"error while looking up for {key} {value}: {error}") from error
    return found


def _port_range(text: str) -> set[str]:
    """`PORT[-PORT][/PROTOCOL]`. Raises ValueError in dockerd's words."""
    if not text:
        raise ValueError("invalid port range: value is empty")
    ports, _, protocol = text.partition("/")
    first, dash, last = ports.partition("-")
    low = _port("start", first)
    high = _port("end", last) if dash else low
    if high < low:
        raise ValueError(f"invalid port range: {text}")
    return {f"{port}/{protocol.lower() or 'tcp'}" for port in range(low, high + 1)}


def _port(which: str, text: str) -> int:
    try:
        return port_number(text)
    except ValueError as error:
        raise ValueError(f"invalid {which} port '{text}': {error}") from error
