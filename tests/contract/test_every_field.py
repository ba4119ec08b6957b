"""No field of a container's configuration is ignored: each one changes something, or is refused by name.

Taken from the API's definition, so that a field that is added there fails here until something is done with it.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import msgspec
import pytest

import moby
from moby.core.codec import encode
from moby.core.errors import InvalidParameter, MobyError, NotImplemented, System
from moby.core.types.containers import (
    ContainerConfig,
    DeviceMapping,
    HostConfig,
    ThrottleDevice,
    Ulimit,
    WeightDevice,
)
from moby.engine.config import EngineConfig
from moby.engine.containers.checks import check_config, check_host_config
from moby.engine.containers.conflicts import check_conflicts
from moby.host.cgroups import cgroup_facts
from moby.runtime.spec import SpecInput, User, build_spec
from tests.contract.schema import DEFINITION

SOURCE = Path(moby.__file__).parent

# What each value changes stands in the runtime spec.
IN_CONFIG_SPEC: dict[str, Any] = {
    "Domainname": "example.org",
    "Env": ["A=1"],
    "Hostname": "name",
    "Tty": True,
    "WorkingDir": "/srv",
}
IN_HOST_SPEC: dict[str, Any] = {
    "Annotations": {"a": "b"},
    "BlkioDeviceReadBps": [ThrottleDevice("/dev/null", 1)],
    "BlkioDeviceReadIOps": [ThrottleDevice("/dev/null", 1)],
    "BlkioDeviceWriteBps": [ThrottleDevice("/dev/null", 1)],
    "BlkioDeviceWriteIOps": [ThrottleDevice("/dev/null", 1)],
    "BlkioWeight": 100,
    "BlkioWeightDevice": [WeightDevice("/dev/null", 100)],
    "CapAdd": ["NET_ADMIN"],
    "CapDrop": ["CHOWN"],
    "CgroupParent": "/elsewhere",
    "CgroupnsMode": "private",
    "CpuPeriod": 50_000,
    "CpuQuota": 50_000,
    "CpuRealtimePeriod": 1_000_000,
    "CpuRealtimeRuntime": 10_000,
    "CpuShares": 100,
    "CpusetCpus": "0",
    "CpusetMems": "0",
    "DeviceCgroupRules": ["c 42:* rwm"],
    "Devices": [DeviceMapping("/dev/zero", "/dev/nil", "r")],
    "IpcMode": "host",
    "MaskedPaths": ["/proc/kcore"],
    "Memory": 1 << 24,
    "MemoryReservation": 1 << 24,
    "MemorySwap": 1 << 25,
    "MemorySwappiness": 10,
    "NanoCpus": 500_000_000,
    "OomKillDisable": True,
    "OomScoreAdj": 5,
    "PidMode": "host",
    "PidsLimit": 10,
    "Privileged": True,
    "ReadonlyPaths": ["/proc/bus"],
    "ReadonlyRootfs": True,
    "SecurityOpt": ["no-new-privileges"],
    "ShmSize": 1 << 20,
    "Sysctls": {"net.core.somaxconn": "1"},
    "UTSMode": "host",
    "Ulimits": [Ulimit("nofile", 10, 10)],
}
# Acted on by the module that has this attribute read.
READ: dict[str, str] = {
    "Cmd": "engine/containers/merging.py",
    "Entrypoint": "engine/containers/merging.py",
    "ExposedPorts": "engine/containers/networking.py",
    "Healthcheck": "engine/execs/health.py",
    "Image": "engine/containers/create.py",
    "Labels": "engine/containers/shelf.py",
    "NetworkDisabled": "engine/containers/start.py",
    "OpenStdin": "engine/containers/start.py",
    "StdinOnce": "engine/containers/start.py",
    "StopSignal": "engine/containers/stop.py",
    "StopTimeout": "engine/containers/stop.py",
    "User": "engine/containers/launch.py",
    "Volumes": "engine/containers/volumes.py",
    "AutoRemove": "engine/containers/remove.py",
    "Binds": "engine/containers/volumes.py",
    "ConsoleSize": "runtime/spec/document.py",
    "CpuPercent": "engine/containers/limits.py",
    "DeviceRequests": "engine/containers/launch.py",
    "Dns": "engine/containers/name_files.py",
    "DnsOptions": "engine/containers/name_files.py",
    "DnsSearch": "engine/containers/name_files.py",
    "ExtraHosts": "engine/containers/name_files.py",
    "GroupAdd": "engine/containers/launch.py",
    "Init": "engine/containers/launch.py",
    "Links": "engine/containers/links.py",
    "LogConfig": "engine/containers/start.py",
    "Mounts": "engine/containers/volumes.py",
    "NetworkMode": "engine/containers/networking.py",
    "PortBindings": "engine/containers/networking.py",
    "PublishAllPorts": "engine/containers/networking.py",
    "RestartPolicy": "engine/containers/restarts.py",
    "Runtime": "engine/containers/start.py",
    "Tmpfs": "engine/containers/launch.py",
    "VolumeDriver": "engine/containers/volumes.py",
    "VolumesFrom": "engine/containers/volumes.py",
    "EndpointsConfig": "engine/containers/networking.py",
}
REFUSED: dict[str, Any] = {
    "Cgroup": "container:other",
    "CpuCount": 1,
    "IOMaximumBandwidth": 1,
    "IOMaximumIOps": 1,
    "Isolation": "hyperv",
    "StorageOpt": {"size": "1G"},
    "UsernsMode": "other",
}
# For clients and builders: the engine keeps and shows them.
KEPT = frozenset(
    {"ArgsEscaped", "AttachStderr", "AttachStdin", "AttachStdout", "ContainerIDFile", "OnBuild", "Shell"}
)


def properties(name: str) -> set[str]:
    definition = DEFINITION["definitions"][name]
    found = set(definition.get("properties", {}))
    for part in definition.get("allOf", []):
        found |= set(part.get("properties", {}))
        if "$ref" in part:
            found |= properties(part["$ref"].rpartition("/")[2])
    return found


ALL = properties("ContainerConfig") | properties("HostConfig") | properties("NetworkingConfig")


def attribute(struct: type[msgspec.Struct], name: str) -> str:
    return next(field.name for field in msgspec.structs.fields(struct) if field.encode_name == name)


def test_every_field_is_accounted_for_once() -> None:
    tables = [IN_CONFIG_SPEC, IN_HOST_SPEC, READ, REFUSED, KEPT]
    listed = [name for table in tables for name in table]
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) == ALL


def spec(config: ContainerConfig, host: HostConfig) -> bytes:
    given = SpecInput(id="0" * 64, args=["true"], config=config, host=host, user=User(), network=None)
    return encode(build_spec(given))


@pytest.mark.parametrize("name", IN_CONFIG_SPEC)
def test_a_field_of_the_container_changes_its_spec(name: str) -> None:
    changed = ContainerConfig(**{attribute(ContainerConfig, name): IN_CONFIG_SPEC[name]})
    assert spec(changed, HostConfig()) != spec(ContainerConfig(), HostConfig())


@pytest.mark.parametrize("name", IN_HOST_SPEC)
def test_a_field_of_the_host_configuration_changes_the_spec(name: str) -> None:
    changed = HostConfig(**{attribute(HostConfig, name): IN_HOST_SPEC[name]})
    assert spec(ContainerConfig(), changed) != spec(ContainerConfig(), HostConfig())


@pytest.mark.parametrize("name", READ)
def test_a_field_is_read_by_the_module_that_acts_on_it(name: str) -> None:
    struct = ContainerConfig if name in properties("ContainerConfig") else HostConfig
    wanted = "endpoints_config" if name == "EndpointsConfig" else attribute(struct, name)
    tree = ast.parse((SOURCE / READ[name]).read_text())
    assert any(
        isinstance(node, ast.Attribute) and node.attr == wanted and isinstance(node.ctx, ast.Load)
        for node in ast.walk(tree)
    ), f"{READ[name]} does not read {wanted}"


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_had_is_refused(name: str) -> None:
    host = HostConfig(**{attribute(HostConfig, name): REFUSED[name]})
    with pytest.raises((NotImplemented, InvalidParameter, System)):
        check(ContainerConfig(), host)


@pytest.mark.parametrize("name", KEPT & properties("ContainerConfig"))
def test_what_is_only_kept_is_shown_again(name: str) -> None:
    value: Any = ["x"] if name in ("OnBuild", "Shell") else True
    config = ContainerConfig(**{attribute(ContainerConfig, name): value})
    assert msgspec.json.decode(encode(config))[name] == value


def check(config: ContainerConfig, host: HostConfig) -> None:
    check_config(config)
    check_host_config(host, cgroup_facts())
    check_conflicts(config, host, EngineConfig())


def test_defaults_are_refused_by_nothing() -> None:
    check(ContainerConfig(), HostConfig())


def test_a_refusal_names_the_field() -> None:
    for name in ("Cgroup", "CpuCount"):
        host = HostConfig(**{attribute(HostConfig, name): REFUSED[name]})
        with pytest.raises(MobyError, match=name):
            check(ContainerConfig(), host)
