"""This file is about finding containers: by ID, by name, by the beginning of an ID."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from moby.core.errors import Conflict, InvalidParameter, NotFound, no_such
from moby.engine.containers.container import Container


class Index:
    """Every container there is; names are unique and can be reserved before their container exists."""

    def __init__(self) -> None:
        self._containers: dict[str, Container] = {}
        self._names: dict[str, str] = {}
        self._ids: list[str] = []

    def __iter__(self) -> Iterator[Container]:
        return iter(tuple(self._containers.values()))

    def __len__(self) -> int:
        return len(self._containers)

    def reserve(self, name: str, container: str) -> None:
        """Take a name. Raises Conflict in dockerd's words."""
        if (holder := self._names.setdefault(name, container)) != container:
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use by container "{holder}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )

    def release(self, name: str, container: str) -> None:
        """Give a name back, if it is this container's."""
        if self._names.get(name) == container:
            del self._names[name]

    def add(self, container: Container) -> None:
        """A container that exists from now on; its name is taken if it was not reserved."""
        self.reserve(container.record.name, container.id)
        self._containers[container.id] = container
        insort(self._ids, container.id)

    def remove(self, container: Container) -> None:
        """A container that is gone."""
        if self._containers.pop(container.id, None) is not None:
            del self._ids[bisect_left(self._ids, container.id)]
        self.release(container.record.name, container.id)

    def find(self, text: str) -> Container:
        """By full ID, name (a link's too), or unique beginning of an ID, in this order. Raises NotFound."""
        if not text:
            raise InvalidParameter('invalid name or ID supplied: ""')
        if (container := self._containers.get(text)) is not None:
            return container
        if (by_name := self._containers.get(self._names.get(text.removeprefix("/"), ""))) is not None:
            return by_name
        if (by_link := self._by_link(text)) is not None:
            return by_link
        position = bisect_left(self._ids, text)
        matches = self._ids[position : position + 2]
        if not matches or not matches[0].startswith(text):
            raise no_such("container", text)
        if len(matches) == 2 and matches[1].startswith(text):
            raise InvalidParameter(f"multiple IDs found with provided prefix: {text}")
        return self._containers[matches[0]]

    def _by_link(self, text: str) -> Container | None:
        """`OWNER/ALIAS`, as `--link` has it."""
        owner_name, _, alias = text.removeprefix("/").partition("/")
        owner = self._containers.get(self._names.get(owner_name, "")) if alias else None
        return self._containers.get(owner.record.links.get(alias, "")) if owner is not None else None

    def get(self, container: str) -> Container | None:
        """By full ID."""
        return self._containers.get(container)

    def has(self, text: str) -> bool:
        """Would `find` find one?"""
        try:
            self.find(text)
        except (NotFound, InvalidParameter):
            return False
        return True
