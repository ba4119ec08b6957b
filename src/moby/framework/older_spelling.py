"""This file is about assemblies of the tool's first days: the same things, under names that are older.

`system` is `onboot` now, `daemon` is `services`, `init` was one image, and containers had some of compose's
keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SECTIONS = {"system": "onboot", "daemon": "services"}
_KEYS = {"network_mode": "net", "read_only": "readonly", "oom_score_adj": "oomScoreAdj"}


def is_older(plain: Mapping[str, Any]) -> bool:
    """Does an assembly have a section that has another name now?"""
    return any(section in plain for section in _SECTIONS)


def renamed(plain: Mapping[str, Any], places: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The assembly as it would be written now, and where each of its keys stands.

    A section that is there under both names keeps the older one too, which is then unknown.
    """
    found: dict[str, Any] = {}
    for key, value in plain.items():
        name = _SECTIONS.get(key, key)
        name = key if name != key and name in plain else name
        found[name] = [_container(each) for each in value] if _is_containers(name, value) else value
    if isinstance(found.get("init"), str):
        found["init"] = [found["init"]]
    return found, {_place(path, plain): place for path, place in places.items()}


def _is_containers(name: str, value: object) -> bool:
    return name in _SECTIONS.values() and isinstance(value, list)


def _container(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key if _KEYS.get(key, key) in value else _KEYS.get(key, key): item for key, item in value.items()}


def _place(path: str, plain: Mapping[str, Any]) -> str:
    match = re.match(r"(\w+)(.*)", path, re.DOTALL)
    if match is None or match[1] not in _SECTIONS or _SECTIONS[match[1]] in plain:
        return path
    rest = re.sub(r"^(\[\d+\]\.)(\w+)", lambda found: found[1] + _KEYS.get(found[2], found[2]), match[2])
    return f"{_SECTIONS[match[1]]}{rest}"
