"""This file is about what differs between two file systems: paths, what stands there, packages."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from moby.machine.inventory import Software, software
from moby.machine.tree import Node, Tree


class Change(msgspec.Struct, frozen=True, order=True):
    """A path that only one has, or that is not the same in both, and in what."""

    path: str
    kind: Literal["added", "removed", "changed"]
    what: tuple[str, ...] = ()


class Packages(msgspec.Struct, frozen=True):
    """A package in other versions than before; none, if it is not there."""

    name: str
    before: str
    after: str


class Differences(msgspec.Struct, frozen=True):
    """Everything that differs, sorted."""

    changes: tuple[Change, ...]
    packages: tuple[Packages, ...]


def differences(before: Tree, after: Tree) -> Differences:
    """What has to change in one to make the other. Reads contents of the same size: takes seconds."""
    changes: list[Change] = []
    old, new = dict(before.sorted()), dict(after.sorted())
    for path in sorted(old.keys() | new.keys()):
        one, other = old.get(path), new.get(path)
        if one is None:
            changes.append(Change(path, "added"))
        elif other is None:
            changes.append(Change(path, "removed"))
        elif what := _unlike(one, other):
            changes.append(Change(path, "changed", what))
    return Differences(tuple(changes), _packages(before, after))


def _unlike(one: Node, other: Node) -> tuple[str, ...]:
    if one.kind != other.kind:
        return (f"{one.kind} -> {other.kind}",)
    found = []
    if one.mode != other.mode:
        found.append(f"mode {one.mode:04o} -> {other.mode:04o}")
    if (one.uid, one.gid) != (other.uid, other.gid):
        found.append(f"owner {one.uid}:{one.gid} -> {other.uid}:{other.gid}")
    if one.target != other.target:
        found.append(f"target {one.target} -> {other.target}")
    if one.device != other.device:
        found.append("device")
    if one.attributes != other.attributes:
        found.append("attributes")
    if one.size != other.size:
        found.append(f"size {one.size} -> {other.size}")
    elif one.content != other.content and _sum(one) != _sum(other):
        found.append("content")
    return tuple(found)


def _sum(node: Node) -> bytes:
    found = hashlib.sha256()
    for chunk in node.chunks():
        found.update(chunk)
    return found.digest()


def _packages(before: Tree, after: Tree) -> tuple[Packages, ...]:
    old, new = _versions(software(before)), _versions(software(after))
    return tuple(
        Packages(name, old.get(name, ""), new.get(name, ""))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def _versions(every: list[Software]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for each in every:
        found.setdefault(each.name, []).append(each.version)
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}


def as_text(found: Differences) -> str:
    """A line a path: `+` added, `-` removed, `~` changed; then the packages."""
    marks = {"added": "+", "removed": "-", "changed": "~"}
    lines = []
    for change in found.changes:
        what = f": {', '.join(change.what)}" if change.what else ""
        lines.append(f"{marks[change.kind]} /{change.path}{what}")
    lines += [
        f"package {each.name}: {each.before or 'none'} -> {each.after or 'none'}" for each in found.packages
    ]
    return "\n".join(lines)
