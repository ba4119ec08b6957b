"""This file is about wiring: from chosen components to running objects, in the order of their needs.

What a constructor's parameters are annotated with is what it needs: something provided from outside, a role's
component, all components of a role (`Mapping[str, Role]`), a shared part, or its own settings (a frozen
struct, filled from the assembly). There is no locator and no global: what is not asked for is not there.
"""

from __future__ import annotations

import inspect
import logging
import typing
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from moby.core.errors import InvalidParameter, MobyError, System, Unavailable
from moby.framework.assembly import Assembly, Chosen
from moby.framework.builtins import MANY, PARTS, ROLES
from moby.framework.registry import load

log = logging.getLogger(__name__)

T = TypeVar("T")


class Health(msgspec.Struct, frozen=True):
    """How a component is: `ok`, `absent` (it cannot run here), or in its own words."""

    component: str
    state: str
    cause: str = ""


class Wiring:
    """An assembly's components, started.

    Life: entering starts every component named in the assembly, each after what it needs; leaving stops them
    in reverse order. A component that raises Unavailable while it starts is absent, unless it is required.
    """

    def __init__(self, assembly: Assembly, provided: Mapping[type, object]) -> None:
        self._assembly = assembly
        self._provided = dict(provided)
        self._made: dict[str, Any] = {}
        self._making: list[str] = []
        self._absent: dict[str, str] = {}
        self._stack = AsyncExitStack()
        self._roles = {load(target, role): role for role, target in ROLES.items()}
        self._parts = {load(kind, kind): target for kind, target in PARTS.items()}

    async def __aenter__(self) -> Self:
        """Raises what a required component raises, with its place in the file."""
        try:
            for chosen in self._assembly.chosen:
                await self._start(chosen)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def need(self, kind: Callable[..., T]) -> T:
        """Something by its type (a class or a role), as a component would get it.

        Raises System if nothing provides it.
        """
        return typing.cast("T", await self._resolve(kind, kind.__name__, {}))

    def all(self, role: str) -> dict[str, Any]:
        """The started components of a role, by name."""
        return {
            chosen.component.name: self._made[key]
            for chosen in self._assembly.of(role)
            if (key := _key(chosen)) in self._made
        }

    async def health(self) -> list[Health]:
        """How every component is."""
        found = []
        for chosen in self._assembly.chosen:
            key = _key(chosen)
            if key in self._absent:
                found.append(Health(key, "absent", self._absent[key]))
                continue
            ask = getattr(self._made.get(key), "health", None)
            try:
                found.append(Health(key, str(await ask()) if ask is not None else "ok"))
            except MobyError as error:
                found.append(Health(key, "ill", error.message))
        return found

    async def _start(self, chosen: Chosen) -> Any:
        key = _key(chosen)
        if key in self._made:
            return self._made[key]
        try:
            return await self._make(key, chosen.component.load(), chosen.settings, chosen.where)
        except Unavailable as error:
            if chosen.required:
                raise
            log.warning("component is absent", extra={"component": key, "cause": error.message})
            self._absent[key] = error.message
            return None

    async def _make(self, key: str, target: Any, settings: Mapping[str, Any], where: str) -> Any:
        if key in self._making:
            circle = " -> ".join([*self._making[self._making.index(key) :], key])
            raise InvalidParameter(f"{where}: components need each other in a circle: {circle}")
        self._making.append(key)
        try:
            left = dict(settings)
            arguments = {
                name: await self._resolve(annotation, where, left)
                for name, annotation in _needs(target).items()
            }
            if left and not any(_is_settings(annotation) for annotation in _needs(target).values()):
                raise InvalidParameter(f"{where}: {key} takes no settings: {', '.join(left)}")
            made = target(**arguments)
            if hasattr(made, "__aenter__"):
                made = await self._stack.enter_async_context(made)
        finally:
            self._making.pop()
        self._made[key] = made
        return made

    async def _resolve(self, annotation: Any, where: str, settings: dict[str, Any]) -> Any:
        if annotation in self._provided:
            return self._provided[annotation]
        if _is_settings(annotation):
            return _settings(annotation, settings, where)
        if typing.get_origin(annotation) in (Mapping, dict):
            role = self._roles.get(typing.get_args(annotation)[1], "")
            if role in MANY:
                for chosen in self._assembly.of(role):
                    await self._start(chosen)
                return self.all(role)
        if (role := self._roles.get(annotation, "")) and role not in MANY:
            for chosen in self._assembly.of(role):
                return await self._start(chosen)
        if (target := self._parts.get(annotation)) is not None:
            return self._made.get(target) or await self._make(target, load(target, target), {}, where)
        raise System(f"{where}: nothing provides {getattr(annotation, '__name__', annotation)}")


def _key(chosen: Chosen) -> str:
    return f"{chosen.component.role}/{chosen.component.name}"


def _needs(target: Any) -> dict[str, Any]:
    """Parameters without a default, by name, with what they are annotated with."""
    function = target.__init__ if inspect.isclass(target) else target
    if function is object.__init__ or getattr(function, "__qualname__", "").startswith("Protocol"):
        return {}
    if function.__name__ == "_no_init_or_replace_init":
        return {}
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters.values()
    return {
        parameter.name: hints.get(parameter.name)
        for parameter in parameters
        if parameter.name != "self"
        and parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def _is_settings(annotation: Any) -> bool:
    return (
        inspect.isclass(annotation)
        and issubclass(annotation, msgspec.Struct)
        and annotation.__struct_config__.forbid_unknown_fields
        and annotation.__name__.endswith("Settings")
    )


def _settings(kind: Any, given: Mapping[str, Any], where: str) -> Any:
    try:
        return msgspec.convert(dict(given), kind)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"{where}: {error}") from error
