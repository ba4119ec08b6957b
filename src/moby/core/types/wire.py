"""This file is about what all Engine API objects share: how field names and zero values are written.

A field with a plain default is left out of the JSON while it has that default (Go's `omitempty`); one whose
default is `always(value)` is written whatever its value. Attributes are snake_case, keys PascalCase.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
UInt64 = Annotated[int, msgspec.Meta(ge=0)]
UInt32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
UInt16 = Annotated[int, msgspec.Meta(ge=0, le=2**16 - 1)]


class Wire(msgspec.Struct, rename="pascal", omit_defaults=True):
    """An object of the Engine API."""


def always(value: Any, name: str | None = None) -> Any:
    """A default for a field that is written even while it has it; `value` must be immutable.

    msgspec omits a field by its default only if that is a plain value or an empty list or dict.
    """
    return msgspec.field(default_factory=lambda: value, name=name)


def always_list(name: str | None = None) -> Any:
    """As `always`, for a list that is empty (`[]`, not `null`) by default."""
    return msgspec.field(default_factory=lambda: [], name=name)  # noqa: PIE807 - msgspec would omit `list`


def always_dict(name: str | None = None) -> Any:
    """As `always`, for a map that is empty (`{}`, not `null`) by default."""
    return msgspec.field(default_factory=lambda: {}, name=name)  # noqa: PIE807 - msgspec would omit `dict`


def omitted(value: Any, name: str) -> Any:
    """A default for a field that is left out while it has it, and whose key is not its name in PascalCase."""
    return msgspec.field(default=value, name=name)
