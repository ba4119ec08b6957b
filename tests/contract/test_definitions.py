"""This file is about the API's definition as a whole: no field or parameter of it is unknown here.

What is missing on purpose is listed with its reason, and what is listed and not missing any more fails as well.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

import moby.api
import moby.core.types
from moby.core import descriptor, events, platform
from tests.contract.fakes import FakeEngine
from tests.contract.schema import DEFINITION, operations

SOURCES = "\n".join(path.read_text() for path in Path(moby.api.__path__[0]).rglob("*.py"))

# What has another name here, since the definition's says less, or is Go's.
NAMED: dict[str, str] = {
    "BuildCacheDiskUsage": "BuildCacheUsage",
    "ContainerBlkioStatEntry": "BlkioEntry",
    "ContainerBlkioStats": "BlkioStats",
    "ContainerCPUStats": "CpuStats",
    "ContainerCPUUsage": "CpuUsage",
    "ContainerMemoryStats": "MemoryStats",
    "ContainerNetworkStats": "InterfaceStats",
    "ContainerPidsStats": "PidsStats",
    "ContainerStatsResponse": "ContainerStats",
    "ContainerStorageStats": "StorageStats",
    "ContainerThrottlingData": "ThrottlingData",
    "ContainersDiskUsage": "ContainerUsage",
    "CreateImageInfo": "JSONMessage",
    "ErrorDetail": "JSONError",
    "EventActor": "Actor",
    "IDResponse": "CommitResponse",
    "IPAMConfig": "IPAMPool",
    "ImageDeleteResponseItem": "ImageDeleteResponse",
    "ImageHistoryResponseItem": "ImageHistoryItem",
    "ImageManifestSummary": "ManifestSummary",
    "ImagesDiskUsage": "ImageUsage",
    "Network": "NetworkInspect",
    "OCIDescriptor": "Descriptor",
    "OCIPlatform": "Platform",
    "ProcessConfig": "ExecProcess",
    "ProgressDetail": "JSONProgress",
    "PushImageInfo": "JSONMessage",
    "RegistryServiceConfig": "RegistryConfig",
    "Runtime": "RuntimeInfo",
    "SystemInfo": "Info",
    "SystemVersion": "Version",
    "VolumesDiskUsage": "VolumesUsage",
}
# Of these the name alone is ours, or they are Windows', swarm's, the builder's or those of installed plugins.
ELSEWHERE = frozenset({"Address", "Platform", "Resources"})
MISSING: dict[str, set[str]] = {
    # Windows alone has them.
    "ContainerMemoryStats": {"commitbytes", "commitpeakbytes", "privateworkingset"},
    "ContainerNetworkStats": {"endpoint_id", "instance_id"},
    "ContainerStorageStats": {
        "read_count_normalized",
        "read_size_bytes",
        "write_count_normalized",
        "write_size_bytes",
    },
    # Content is kept where its digest says, not in what points at it.
    "OCIDescriptor": {"data"},
    # docs/compatibility.md: signatures are not verified.
    "Identity": {"Signature"},
    # A swarm's.
    "Volume": {"ClusterVolume"},
}


def structs() -> dict[str, type[msgspec.Struct]]:
    modules: list[Any] = [
        importlib.import_module(f"moby.core.types.{found.name}")
        for found in pkgutil.iter_modules(moby.core.types.__path__)
    ]
    return {
        name: found
        for module in (*modules, descriptor, events, platform)
        for name, found in vars(module).items()
        if isinstance(found, type) and issubclass(found, msgspec.Struct)
    }


STRUCTS = structs()
KNOWN = sorted(
    name
    for name, definition in DEFINITION["definitions"].items()
    if NAMED.get(name, name) in STRUCTS
    and name not in ELSEWHERE
    and ("properties" in definition or "allOf" in definition)
)


def properties(definition: dict[str, Any]) -> set[str]:
    found = set(definition.get("properties", {}))
    for part in definition.get("allOf", []):
        reference = part.get("$ref", "").rpartition("/")[2]
        found |= properties(DEFINITION["definitions"][reference] if reference else part)
    return found


@pytest.mark.parametrize("name", KNOWN)
def test_every_field_of_a_definition_is_one_here(name: str) -> None:
    have = {field.encode_name for field in msgspec.structs.fields(STRUCTS[NAMED.get(name, name)])}
    missing = properties(DEFINITION["definitions"][name]) - have
    assert missing == MISSING.get(name, set())


def test_what_is_listed_is_there() -> None:
    assert set(NAMED) | set(MISSING) <= set(KNOWN)
    assert len(KNOWN) > 70


def test_every_parameter_of_a_served_operation_is_read() -> None:
    served = {route.operation for route in FakeEngine().backends().routes()}
    unread = {
        (name, parameter["name"])
        for name, operation in operations().items()
        if name in served
        for parameter in operation.get("parameters", [])
        if parameter["in"] in ("query", "header") and f'"{parameter["name"]}"' not in SOURCES
    }
    assert unread == set()
