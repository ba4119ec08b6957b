"""This file is about the assembly: its YAML schema, and complaints that name file, line and key."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec

from moby.core.errors import InvalidParameter
from moby.framework.builtins import BUILTINS, MANY, OPTIONAL
from moby.framework.machine import MachineSections
from moby.framework.older_spelling import is_older, renamed
from moby.framework.registry import Component, find

Entry = str | dict[str, dict[str, Any] | None]


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
    """An assembly whose components were all found; `digest` is the SHA-256 of its text, or of its files'."""

    name: str
    chosen: tuple[Chosen, ...]
    machine: MachineSections = MachineSections()
    places: Mapping[str, str] = msgspec.field(default_factory=dict)
    digest: str = ""

    def wrong(self, key: str, message: str, *, hint: str | None = None) -> InvalidParameter:
        """The complaint about a key, with its line: `FILE:LINE: KEY: what is wrong`."""
        return InvalidParameter(f"{_place(self.name, self.places, key)}: {key}: {message}", hint=hint)

    def of(self, role: str) -> list[Chosen]:
        """The components of a role, in the order of the file."""
        return [one for one in self.chosen if one.component.role == role]


class _Parsed(msgspec.Struct):
    """The text of one file: what it says, and where each of its keys stands (`FILE:LINE`)."""

    name: str
    plain: dict[str, Any]
    places: dict[str, str]
    digest: str


def locate(name: str) -> Path:
    """A path, or the name of an assembly that ships. Raises InvalidParameter if there is none."""
    if "/" in name or name.endswith((".yml", ".yaml")):
        return Path(name)
    path = Path(__file__).parent / "assemblies" / f"{name}.yml"
    if not path.exists():
        raise InvalidParameter(f"no assembly named {name!r}", hint=f"those that ship are in {path.parent}")
    return path


def named(name: str) -> Assembly:
    """The assembly that somebody names, as `locate` finds it; the usual one if nothing is named."""
    return read(locate(name)) if name else usual()


def read(*paths: Path) -> Assembly:
    """Read and check; `-` is standard input. Raises InvalidParameter: `FILE:LINE: KEY: what is wrong`.

    Of several files, what a later one says of the kernel or the engine counts, and what it lists comes
    after what is listed before. Its relative paths are from where it is.
    """
    found = [_parsed(_text(path), path.name or "-") for path in paths]
    for path, parsed in zip(paths[1:], found[1:], strict=True):
        _settle_sources(parsed.plain, path.resolve().parent)
    return _assembled(found)


def _text(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text()
    except OSError as error:
        shipped = Path(__file__).parent / "assemblies" / f"{path.stem}.yml"
        hint = f"the one that ships is {shipped}" if shipped.exists() else None
        why = (error.strerror or "").lower()
        raise InvalidParameter(f"cannot read assembly {path}: {why}", hint=hint) from error
    except UnicodeDecodeError as error:
        raise InvalidParameter(f"cannot read assembly {path}: it is no text") from error


def usual() -> Assembly:
    """What an empty assembly means: the engine of the one named `origin`. No file is read."""
    empty = _Parsed("origin.yml", {}, {}, "")
    return Assembly(empty.name, tuple(_choose(empty, EngineSection())))


def parse(text: str, name: str) -> Assembly:
    """As `read`, of the text itself."""
    return _assembled([_parsed(text, name)])


def _parsed(text: str, name: str) -> _Parsed:
    from moby.framework.yaml_text import loaded  # 10 ms that a daemon without a file of its own saves

    plain, lines = loaded(text, name)
    places = {path: f"{name}:{line}" for path, line in lines.items()}
    if is_older(plain):
        plain, places = renamed(plain, places)
    return _Parsed(name, plain, places, hashlib.sha256(text.encode()).hexdigest())


def _assembled(found: Sequence[_Parsed]) -> Assembly:
    merged = found[0]
    for later in found[1:]:
        merged = _merged(merged, later)
    try:
        document = msgspec.convert(merged.plain, Document)
    except msgspec.ValidationError as error:
        raise _complaint(merged, error) from error
    chosen = tuple(_choose(merged, document.engine))
    return Assembly(merged.name, chosen, document, merged.places, merged.digest)


def _merged(first: _Parsed, later: _Parsed) -> _Parsed:
    plain, places = dict(first.plain), dict(first.places)
    for key, value in later.plain.items():
        before, start = plain.get(key), 0
        if isinstance(before, list) and isinstance(value, list):
            plain[key], start = [*before, *value], len(before)
        elif isinstance(before, dict) and isinstance(value, dict):
            plain[key] = {**before, **value}
        else:
            plain[key] = value
        for path, place in later.places.items():
            if path == key or path.startswith((f"{key}.", f"{key}[")):
                places[_shifted(path, key, start)] = place
    digest = hashlib.sha256(f"{first.digest} {later.digest}".encode()).hexdigest()
    return _Parsed(first.name, plain, places, digest)


def _shifted(path: str, key: str, count: int) -> str:
    """The path of what is in a list, when so many come before it."""
    match = re.match(rf"{re.escape(key)}\[(\d+)\]", path)
    return f"{key}[{int(match[1]) + count}]{path[match.end() :]}" if match else path


def _settle_sources(plain: dict[str, Any], folder: Path) -> None:
    files = plain.get("files")
    for file in files if isinstance(files, list) else ():
        source = file.get("source") if isinstance(file, dict) else None
        if isinstance(source, str) and source and not source.startswith("~"):
            file["source"] = str(folder / source)


def _place(name: str, places: Mapping[str, str], path: str) -> str:
    """File and line of a key, or of the nearest one above it."""
    while places and path and path not in places:
        path = re.sub(r"(\.[^.\[\]]*|\[\d+\]|^[^.\[\]]+)$", "", path)
    return places.get(path, f"{name}:1")


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


def _complaint(parsed: _Parsed, error: msgspec.ValidationError) -> InvalidParameter:
    message, _, where = str(error).partition(" - at `$")
    path = re.sub(r"\[\.\.\.\]$", "", where.rstrip("`").lstrip("."))
    unknown = re.search(r"unknown field `([^`]+)`", message)
    hint = None
    if unknown:
        parent, path = path, f"{path}.{unknown[1]}" if path else unknown[1]
        known = _known(parent)
        import difflib  # only for those who err

        near = difflib.get_close_matches(unknown[1], known, 1)
        message = f"unknown key {unknown[1]!r}" + (f" (did you mean {near[0]!r}?)" if near else "")
        hint = f"known: {', '.join(known)}"
    if "Expected `str" in message and "got `bool`" in message:
        hint = "YAML takes on, off, yes, no, true and false for a truth value: write the word in quotes"
    if path.rpartition(".")[2] == "mode" and "got `int`" in message:
        hint = 'write a mode in quotes: "0644"'
    place = _place(parsed.name, parsed.places, path)
    return InvalidParameter(f"{place}: {path or 'document'}: {message}", hint=hint)


def _choose(parsed: _Parsed, section: EngineSection) -> list[Chosen]:
    found: list[Chosen] = []
    for role in BUILTINS:
        value = getattr(section, role)
        if value is None:
            assert role in OPTIONAL
            continue
        entries = enumerate(value) if role in MANY else [(None, value)]
        for index, entry in entries:
            path = f"engine.{role}" if index is None else f"engine.{role}[{index}]"
            where = f"{_place(parsed.name, parsed.places, path)}: engine.{role}"
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
