"""This file is about finding a component by its name: ours, then those that other packages offer."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from moby.core.errors import InvalidParameter, System
from moby.framework.builtins import BUILTINS


class Component(NamedTuple):
    """A component by its place in an assembly; `target` is `module:attribute`."""

    role: str
    name: str
    target: str

    def load(self) -> Any:
        """The class or factory. Raises System if it cannot be imported."""
        return load(self.target, f"{self.role} component {self.name!r}")


def load(target: str, what: str) -> Any:
    """What `module:attribute` names. Raises System."""
    module, _, attribute = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise System(f"cannot load {what} from {target}: {error}") from error
    return found


def find(role: str, name: str) -> Component:
    """The component `name` for `role`; entry points are read only when none of ours has that name.

    Raises InvalidParameter, with a suggestion, if there is none.
    """
    ours = BUILTINS.get(role)
    if ours is None:
        raise InvalidParameter(f"no such role: {role!r}", hint=_hint(role, list(BUILTINS)))
    if target := ours.get(name):
        return Component(role, name, target)
    from importlib.metadata import entry_points  # 5 to 35 ms: nobody pays who has no foreign component

    for point in entry_points(group=f"moby.{role}", name=name):
        return Component(role, name, point.value)
    raise InvalidParameter(f"no {role} component named {name!r}", hint=_hint(name, sorted(ours)))


def _hint(name: str, known: list[str]) -> str:
    import difflib  # only for those who err

    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"built in: {', '.join(known) or 'none'}"
