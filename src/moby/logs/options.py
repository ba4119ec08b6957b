"""This file is about the options that log drivers share: sizes, counts, and what goes along with an entry."""

from __future__ import annotations

import re
from collections.abc import Mapping

from moby.core.errors import InvalidParameter
from moby.core.logs import LogInfo

ATTRIBUTE_OPTIONS = frozenset({"labels", "labels-regex", "env", "env-regex", "tag"})

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


def parse_size(text: str) -> int:
    """`10m`, `1.5 GB`, `100` in bytes. Raises InvalidParameter."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidParameter(f"invalid size: '{text}'")
    return int(float(match[1]) * _UNITS[match[2].lower()])


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


def attributes(info: LogInfo) -> dict[str, str]:
    """The labels, variables and tag that the options ask to go along with every entry."""
    options = info.options
    found: dict[str, str] = {}
    variables = dict(variable.partition("=")[::2] for variable in info.env)
    for source, listed, pattern in (
        (info.labels, "labels", "labels-regex"),
        (variables, "env", "env-regex"),
    ):
        _choose(found, source, options.get(listed, ""), options.get(pattern, ""))
    if tag := options.get("tag"):
        found["tag"] = expand_tag(tag, info)
    return found


def _choose(found: dict[str, str], source: Mapping[str, str], listed: str, pattern: str) -> None:
    for name in listed.split(","):
        if name and name in source:
            found[name] = source[name]
    if pattern:
        expression = re.compile(pattern)
        found.update({name: value for name, value in source.items() if expression.search(name)})


def expand_tag(template: str, info: LogInfo) -> str:
    """A tag template (`{{.Name}}/{{.ID}}`) filled in. Raises InvalidParameter for an unknown field."""
    values = {
        "ID": info.container_id[:12],
        "FullID": info.container_id,
        "Name": info.container_name,
        "ImageID": info.image_id.removeprefix("sha256:")[:12],
        "ImageFullID": info.image_id,
        "ImageName": info.image_name,
        "DaemonName": "docker",
        "Command": info.command,
    }

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise InvalidParameter(f"invalid log tag: no field {match[1]}")
        return values[match[1]]

    return re.sub(r"\{\{\s*\.(\w+)\s*\}\}", value, template)
