"""This file is about the assembly: its YAML schema, and complaints that name file, line and key."""

from __future__ import annotations

import difflib
import hashlib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec
import yaml

from moby.core.errors import InvalidParameter
from moby.framework.builtins import BUILTINS, MANY, OPTIONAL
from moby.framework.machine import MachineSections
from moby.framework.registry import Component, find

Entry = str | dict[str, dict[str, Any] | None]

# Anchors and merges of YAML make a few lines stand for any number of keys.
_KEYS_LIMIT = 100_000


class EngineSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which parts a container engine is made of: a name, or a name with its settings."""

    store: Entry = "sqlite"
    images: Entry = "containerd"
    runtime: Entry = "containerd"
    firewall: Entry = "nftables"
    networks: list[Entry] = msgspec.field(
        default_factory=lambda: ["bridge", "host", "ipvlan", "macvlan", "none"]
    )
    volumes: list[Entry] = msgspec.field(default_factory=lambda: ["local"])
    logs: list[Entry] = msgspec.field(default_factory=lambda: list(BUILTINS["logs"]))
    builder: Entry | None = None
    orchestrator: Entry | None = None


class Document(MachineSections, frozen=True, forbid_unknown_fields=True):
    """A whole assembly."""

    engine: EngineSection = EngineSection()


class Chosen(msgspec.Struct, frozen=True):
    """One component of an assembly, with its settings and its place in the file."""

    component: Component
    settings: Mapping[str, Any]
    where: str
    required: bool = True


class Assembly(msgspec.Struct, frozen=True):
    """An assembly whose components were all found; `digest` is the SHA-256 of its text."""

    name: str
    chosen: tuple[Chosen, ...]
    machine: MachineSections = MachineSections()
    lines: Mapping[str, int] = msgspec.field(default_factory=dict)
    digest: str = ""

    def wrong(self, key: str, message: str, *, hint: str | None = None) -> InvalidParameter:
        """The complaint about a key, with its line: `FILE:LINE: KEY: what is wrong`."""
        return InvalidParameter(f"{self.name}:{_line(self.lines, key)}: {key}: {message}", hint=hint)

    def of(self, role: str) -> list[Chosen]:
        """The components of a role, in the order of the file."""
        return [one for one in self.chosen if one.component.role == role]


def read(path: Path) -> Assembly:
    """Read and check; `-` is standard input. Raises InvalidParameter: `FILE:LINE: KEY: what is wrong`."""
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text()
    except OSError as error:
        raise InvalidParameter(f"cannot read assembly {path}: {(error.strerror or '').lower()}") from error
    except UnicodeDecodeError as error:
        raise InvalidParameter(f"cannot read assembly {path}: it is no text") from error
    return parse(text, path.name or "-")


def parse(text: str, name: str) -> Assembly:
    """As `read`, of the text itself."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = _lines(name, root)
        plain = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        words = " ".join(str(getattr(error, "problem", None) or error).split())
        raise InvalidParameter(f"{name}{line}: {words}") from error
    try:
        document = msgspec.convert(plain if plain is not None else {}, Document)
    except msgspec.ValidationError as error:
        raise _complaint(name, lines, error) from error
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Assembly(name, tuple(_choose(name, lines, document.engine)), document, lines, digest)


def _lines(name: str, root: Any) -> dict[str, int]:
    """The line of every key, by its path. Raises InvalidParameter for a key that is there twice."""
    found: dict[str, int] = {}
    waiting: list[tuple[str, Any]] = [] if root is None else [("", root)]
    while waiting:
        path, node = waiting.pop()
        found.setdefault(path, node.start_mark.line + 1)
        if len(found) > _KEYS_LIMIT:
            raise InvalidParameter(f"{name}: more than {_KEYS_LIMIT} keys")
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                below = f"{path}.{key.value}" if path else str(key.value)
                line = key.start_mark.line + 1
                if str(key.value) in seen and key.tag != "tag:yaml.org,2002:merge":
                    raise InvalidParameter(f"{name}:{line}: {below}: this key is there twice")
                seen.add(str(key.value))
                found[below] = line
                waiting.append((below, value))
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(f"{path}[{index}]", value) for index, value in enumerate(node.value)]
    return found


def _line(lines: Mapping[str, int], path: str) -> int:
    """The line of a key, or of the nearest one above it."""
    while path and path not in lines:
        path = re.sub(r"(\.[^.\[\]]*|\[\d+\]|^[^.\[\]]+)$", "", path)
    return lines.get(path, 1)


def _known(path: str) -> list[str]:
    """The keys that are known at a place."""
    kind: Any = Document
    for part in re.findall(r"[^.\[\]]+", re.sub(r"\[\d+\]", "", path)):
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        kind = next((found for found in _structs(fields.get(part))), None)
        if kind is None:
            return []
    return [field.encode_name for field in msgspec.structs.fields(kind)]


def _structs(kind: Any) -> list[type[msgspec.Struct]]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return [kind]
    return [found for part in get_args(kind) for found in _structs(part)]


def _complaint(name: str, lines: Mapping[str, int], error: msgspec.ValidationError) -> InvalidParameter:
    message, _, where = str(error).partition(" - at `$")
    path = re.sub(r"\[\.\.\.\]$", "", where.rstrip("`").lstrip("."))
    unknown = re.search(r"unknown field `([^`]+)`", message)
    hint = None
    if unknown:
        parent, path = path, f"{path}.{unknown[1]}" if path else unknown[1]
        known = _known(parent)
        near = difflib.get_close_matches(unknown[1], known, 1)
        message = f"unknown key {unknown[1]!r}" + (f" (did you mean {near[0]!r}?)" if near else "")
        hint = f"known: {', '.join(known)}"
    if "Expected `str" in message and "got `bool`" in message:
        hint = "YAML takes on, off, yes, no, true and false for a truth value: write the word in quotes"
    if path.rpartition(".")[2] == "mode" and "got `int`" in message:
        hint = 'write a mode in quotes: "0644"'
    return InvalidParameter(f"{name}:{_line(lines, path)}: {path or 'document'}: {message}", hint=hint)


def _choose(name: str, lines: Mapping[str, int], section: EngineSection) -> list[Chosen]:
    found: list[Chosen] = []
    for role in BUILTINS:
        value = getattr(section, role)
        if value is None:
            assert role in OPTIONAL
            continue
        entries = enumerate(value) if role in MANY else [(None, value)]
        for index, entry in entries:
            path = f"engine.{role}" if index is None else f"engine.{role}[{index}]"
            where = f"{name}:{lines.get(path) or lines.get('engine') or 1}: engine.{role}"
            found.append(_entry(role, entry, where))
    return found


def _entry(role: str, entry: Entry, where: str) -> Chosen:
    if isinstance(entry, str):
        chosen, settings = entry, {}
    elif len(entry) == 1:
        ((chosen, given),) = entry.items()
        settings = dict(given or {})
    else:
        raise InvalidParameter(f"{where}: one component by its name, with its settings below it")
    required = settings.pop("required", role not in MANY)
    try:
        component = find(role, chosen)
    except InvalidParameter as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise InvalidParameter(f"{where}: {error.message}{hint}") from error
    return Chosen(component, settings, where, bool(required))


def schema() -> dict[str, Any]:
    """The JSON schema of an assembly."""
    return msgspec.json.schema(Document)
