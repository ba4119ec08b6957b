"""This file is about how zero values are written: as dockerd writes them, which clients notice."""

from __future__ import annotations

import msgspec

from moby.core.codec import encode
from moby.core.types.containers import (
    ContainerConfig,
    ContainerCreateRequest,
    ContainerInspectResponse,
    EndpointSettings,
    HostConfig,
)
from moby.core.types.mounts import MountPoint
from moby.core.types.wire import Wire, always, always_dict, always_list, omitted


class Example(Wire):
    """One field of each kind."""

    written: int = always(0)
    named: bool = always(False, name="OOMKilled")
    left_out: str = ""
    also_left_out: int = omitted(0, name="ALO")
    items: list[str] = always_list()
    table: dict[str, str] = always_dict()
    null: str | None = always(None)
    own: dict[str, str] = msgspec.field(default_factory=dict)


def test_zero_values() -> None:
    assert encode(Example()) == b'{"Written":0,"OOMKilled":false,"Items":[],"Table":{},"Null":null}'


def test_zero_values_that_were_given_are_left_out_too() -> None:
    decoded = msgspec.json.decode(b'{"LeftOut":"","ALO":0,"Own":{}}', type=Example)
    assert encode(decoded) == encode(Example())


def test_defaults_are_not_shared() -> None:
    one, other = Example(), Example()
    one.items.append("x")
    assert other.items == []


def test_mac_address_and_health_check_are_left_out() -> None:
    text = encode(ContainerConfig())
    for key in (b"Healthcheck", b"MacAddress", b"StopSignal", b"StopTimeout", b"ExposedPorts", b"Shell"):
        assert key not in text
    assert b'"Cmd":null' in text
    assert b'"Labels":null' in text


def test_host_config_has_every_key_that_docker_writes() -> None:
    found = msgspec.json.decode(encode(HostConfig()))
    assert found["ConsoleSize"] == [0, 0]
    assert found["LogConfig"] == {"Type": "", "Config": None}
    assert found["RestartPolicy"] == {"Name": "", "MaximumRetryCount": 0}
    assert found["BlkioDeviceReadIOps"] is None
    assert not {"Annotations", "StorageOpt", "Tmpfs", "Sysctls", "Runtime", "Mounts", "Init"} & found.keys()


def test_create_request_gives_the_config_alone() -> None:
    request = ContainerCreateRequest(image="busybox", cmd=["true"], host_config=HostConfig(memory=5))
    assert request.config() == ContainerConfig(image="busybox", cmd=["true"])


def test_names_that_are_not_pascal_case() -> None:
    assert {"IPAMConfig", "NetworkID", "IPAddress", "GlobalIPv6PrefixLen", "DNSNames"} <= _keys(
        EndpointSettings()
    )
    assert {"ExecIDs", "AppArmorProfile", "ResolvConfPath"} <= _keys(ContainerInspectResponse())
    assert "RW" in _keys(MountPoint())


def _keys(value: object) -> set[str]:
    return set(msgspec.json.decode(encode(value)))
