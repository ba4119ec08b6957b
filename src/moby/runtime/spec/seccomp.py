"""This file is about seccomp: docker's profile format, turned into the runtime spec's for one container."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Required, TypedDict

import msgspec

from moby.core.errors import InvalidParameter
from moby.core.platform import host_platform

_ARCHITECTURES = {
    "amd64": "SCMP_ARCH_X86_64",
    "386": "SCMP_ARCH_X86",
    "arm64": "SCMP_ARCH_AARCH64",
    "arm": "SCMP_ARCH_ARM",
    "ppc64le": "SCMP_ARCH_PPC64LE",
    "s390x": "SCMP_ARCH_S390X",
    "riscv64": "SCMP_ARCH_RISCV64",
    "loong64": "SCMP_ARCH_LOONGARCH64",
}


class _Conditions(TypedDict, total=False):
    """When a rule applies."""

    arches: list[str] | None
    caps: list[str] | None
    minKernel: str


class _Rule(TypedDict, total=False):
    """What happens at some system calls."""

    name: str
    names: list[str] | None
    action: Required[str]
    errnoRet: int | None
    args: list[dict[str, Any] | None] | None
    comment: str
    includes: _Conditions | None
    excludes: _Conditions | None


class _Architecture(TypedDict, total=False):
    """An architecture, with those that it can run too."""

    architecture: Required[str]
    subArchitectures: list[str] | None


class _Profile(TypedDict, total=False):
    """docker's profile format."""

    defaultAction: str
    defaultErrnoRet: int | None
    architectures: list[str] | None
    archMap: list[_Architecture] | None
    flags: list[str] | None
    listenerPath: str
    listenerMetadata: str
    syscalls: list[_Rule] | None


@cache
def _default_profile() -> Mapping[str, Any]:
    data = Path(__file__).with_name("seccomp-default.json").read_bytes()
    return msgspec.json.decode(data)  # type: ignore[no-any-return]


@lru_cache(maxsize=64)
def default_seccomp(capabilities: frozenset[str]) -> Mapping[str, Any]:
    """The default profile for a container with these capabilities; the same object for the same ones."""
    return compile_profile(_default_profile(), capabilities)


@lru_cache(maxsize=64)
def parse_profile(text: str, capabilities: frozenset[str]) -> Mapping[str, Any] | None:
    """A profile that the user gave as JSON; None for one that filters nothing. Raises InvalidParameter."""
    try:
        profile = msgspec.json.decode(text, type=_Profile)
    except msgspec.MsgspecError as error:
        raise InvalidParameter(f"Decoding seccomp profile failed: {error}") from error
    if not profile.get("defaultAction") and not profile.get("syscalls"):
        return None
    if profile.get("architectures") and profile.get("archMap"):
        raise InvalidParameter(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, "
            "use either 'architectures' or 'archMap'"
        )
    if any(rule.get("name") and rule.get("names") for rule in profile.get("syscalls") or ()):
        raise InvalidParameter(
            "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'"
        )
    return compile_profile(profile, capabilities)


def compile_profile(profile: Mapping[str, Any], capabilities: frozenset[str]) -> Mapping[str, Any]:
    """What of a profile applies on this host with these capabilities."""
    architecture = host_platform().architecture
    compiled: dict[str, Any] = {
        "defaultAction": profile.get("defaultAction", "SCMP_ACT_ERRNO"),
        "architectures": _architectures(profile, architecture),
        "syscalls": [
            _rule(rule)
            for rule in profile.get("syscalls") or ()
            if _applies(rule, architecture, capabilities)
        ],
    }
    for key in ("defaultErrnoRet", "flags", "listenerPath", "listenerMetadata"):
        if profile.get(key) is not None:
            compiled[key] = profile[key]
    return compiled


def _architectures(profile: Mapping[str, Any], architecture: str) -> list[str]:
    if listed := profile.get("architectures"):
        return list(listed)
    native = _ARCHITECTURES.get(architecture, "")
    for entry in profile.get("archMap") or ():
        if entry["architecture"] == native:
            return [native, *(entry.get("subArchitectures") or ())]
    return [native] if native else []


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    names: Sequence[str] = rule.get("names") or ([rule["name"]] if rule.get("name") else [])
    compiled: dict[str, Any] = {"names": list(names), "action": rule["action"]}
    if rule.get("errnoRet") is not None:
        compiled["errnoRet"] = rule["errnoRet"]
    if rule.get("args"):
        compiled["args"] = rule["args"]
    return compiled


def _applies(rule: Mapping[str, Any], architecture: str, capabilities: frozenset[str]) -> bool:
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    if (wanted := includes.get("arches")) and architecture not in wanted:
        return False
    if architecture in (excludes.get("arches") or ()):
        return False
    if (needed := includes.get("caps")) and not capabilities.issuperset(needed):
        return False
    if capabilities.intersection(excludes.get("caps") or ()):
        return False
    if (least := includes.get("minKernel")) and _kernel() < _version(least):
        return False
    return not ((most := excludes.get("minKernel")) and _kernel() >= _version(most))


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2])


@cache
def _kernel() -> tuple[int, ...]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(digit for digit in minor if digit.isdigit()) or 0)
