"""This file is about the options that log drivers share: sizes, counts, and what goes along with an entry."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from moby.core.errors import InvalidParameter
from moby.core.logs import LogInfo
from moby.logs.tags import expand_tag

ATTRIBUTE_OPTIONS = frozenset({"labels", "labels-regex", "env", "env-regex", "tag"})

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_UNITS = ("", "k", "m", "g", "t", "p")


def parse_size(text: str) -> int:
    """`10m`, `1.5 GB`, `100` in bytes, as sizes of memory are counted. Raises InvalidParameter."""
    return _size(text, 1024)


def parse_human_size(text: str) -> int:
    """The same in thousands, as sizes of files are counted. Raises InvalidParameter."""
    return _size(text, 1000)


def _size(text: str, thousand: int) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InvalidParameter(f"invalid size: '{text}'")
    return int(float(match[1]) * thousand ** _UNITS.index(match[2].lower()))


def parse_count(name: str, text: str) -> int:
    """A whole number of at least 1. Raises InvalidParameter."""
    if not text.isdigit():
        raise InvalidParameter(f'invalid value for "{name}": "{text}" is not a number')
    if int(text) < 1:
        raise InvalidParameter(f"{name} cannot be less than 1")
    return int(text)


def parse_flag(name: str, text: str) -> bool:
    """Raises InvalidParameter."""
    match text.lower():
        case "true" | "1" | "t":
            return True
        case "false" | "0" | "f":
            return False
        case _:
            raise InvalidParameter(f'invalid value for "{name}": "{text}" is not a boolean')


def parse_int(text: str) -> int:
    """As Go's `strconv.Atoi`. Raises InvalidParameter."""
    if re.fullmatch(r"[+-]?[0-9]+", text) is None:
        raise InvalidParameter(f'strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def parse_bool(text: str) -> bool:
    """As Go's `strconv.ParseBool`. Raises InvalidParameter."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise InvalidParameter(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def attributes(info: LogInfo, named: Callable[[str], str] = str) -> dict[str, str]:
    """The labels, variables and tag that the options ask to go along with every entry."""
    found = extra_attributes(info, named)
    if tag := info.options.get("tag"):
        found["tag"] = expand_tag(tag, info)
    return found


def extra_attributes(info: LogInfo, named: Callable[[str], str] = str) -> dict[str, str]:
    """The labels and variables alone, renamed by `named`. Raises InvalidParameter."""
    options = info.options
    found: dict[str, str] = {}
    variables = dict(variable.partition("=")[::2] for variable in info.env if "=" in variable)
    for source, listed, pattern in (
        (info.labels, "labels", "labels-regex"),
        (variables, "env", "env-regex"),
    ):
        chosen = _chosen(source, options.get(listed, ""), options.get(pattern, ""))
        found.update({named(name): source[name] for name in chosen})
    return found


def _chosen(source: Mapping[str, str], listed: str, pattern: str) -> list[str]:
    names = [name for name in listed.split(",") if name and name in source]
    if pattern:
        try:
            expression = re.compile(pattern)
        except re.error as error:
            raise InvalidParameter(f"error parsing regexp: {error}") from error
        names += [name for name in source if expression.search(name)]
    return names
