"""This file is about what older clients mean when they create a container."""

from __future__ import annotations

import pytest

from moby.api.routes.container_versions import adapt_create, adapt_update
from moby.core.errors import InvalidParameter
from moby.core.types.containers import (
    BindOptions,
    ContainerCreateRequest,
    ContainerUpdateRequest,
    EndpointSettings,
    HostConfig,
    Mount,
    NetworkingConfig,
    TmpfsOptions,
    VolumeOptions,
    WeightDevice,
)

MAC = "02:00:00:00:00:01"


def _request(mac: str = "", mode: str = "", **endpoints: EndpointSettings) -> ContainerCreateRequest:
    return ContainerCreateRequest(
        mac_address=mac,
        host_config=HostConfig(network_mode=mode),
        networking_config=NetworkingConfig(endpoints_config=dict(endpoints)),
    )


def test_old_defaults() -> None:
    request = ContainerCreateRequest(host_config=HostConfig(console_size=(24, 80), annotations={"a": "b"}))
    assert adapt_create(request, (1, 39)) == []
    assert request.host_config is not None
    assert request.host_config.ipc_mode == "shareable"
    assert (request.host_config.console_size, request.host_config.annotations) == ((0, 0), {})


def test_no_limit_of_processes_however_it_is_written() -> None:
    for limit in (0, -1, -5):
        request = ContainerCreateRequest(host_config=HostConfig(pids_limit=limit))
        adapt_create(request, (1, 55))
        assert request.host_config is not None
        assert request.host_config.pids_limit is None


@pytest.mark.parametrize(
    ("mount", "version", "message"),
    [
        (
            Mount(type="bind", volume_options=VolumeOptions()),
            (1, 55),
            'VolumeOptions must not be specified on mount type "bind"',
        ),
        (
            Mount(type="volume", tmpfs_options=TmpfsOptions()),
            (1, 42),
            'TmpfsOptions must not be specified on mount type "volume"',
        ),
        (
            Mount(type="bind", bind_options=BindOptions(read_only_force_recursive=True)),
            (1, 43),
            "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer",
        ),
        (
            Mount(type="volume", volume_options=VolumeOptions(subpath="a")),
            (1, 44),
            "VolumeOptions.Subpath needs API v1.45 or newer",
        ),
        (Mount(type="image"), (1, 47), 'Mount type "Image" needs API v1.48 or newer'),
    ],
)
def test_mounts_that_are_refused(mount: Mount, version: tuple[int, int], message: str) -> None:
    with pytest.raises(InvalidParameter) as raised:
        adapt_create(ContainerCreateRequest(host_config=HostConfig(mounts=[mount])), version)
    assert raised.value.message == message


def test_options_of_another_kind_of_mount_are_dropped_for_old_clients() -> None:
    mount = Mount(
        type="bind", volume_options=VolumeOptions(), bind_options=BindOptions(create_mountpoint=True)
    )
    adapt_create(ContainerCreateRequest(host_config=HostConfig(mounts=[mount])), (1, 41))
    assert mount.volume_options is None
    assert mount.bind_options is not None
    assert not mount.bind_options.create_mountpoint


def test_mac_address_of_the_container_becomes_its_endpoints() -> None:
    request = _request(MAC)
    assert adapt_create(request, (1, 43)) == []
    assert request.networking_config is not None
    endpoints = request.networking_config.endpoints_config or {}
    assert [endpoint.mac_address for endpoint in endpoints.values() if endpoint] == [MAC]
    assert adapt_create(_request(MAC), (1, 44)) != []


def test_mac_addresses_that_do_not_fit() -> None:
    with pytest.raises(InvalidParameter, match="conflicting options: mac-address and the network mode"):
        adapt_create(_request(MAC, "host"), (1, 43))
    with pytest.raises(InvalidParameter, match="must match the endpoint-specific MAC address"):
        adapt_create(_request(MAC, "mine", mine=EndpointSettings(mac_address="02:00:00:00:00:02")), (1, 44))


def test_a_mac_address_is_for_the_network_of_the_mode() -> None:
    older, newer = (
        _request(MAC, "mine", other=EndpointSettings()),
        _request(MAC, "mine", other=EndpointSettings()),
    )
    adapt_create(older, (1, 43))
    assert older.networking_config is not None
    endpoints = older.networking_config.endpoints_config or {}
    assert [(name, one.mac_address) for name, one in endpoints.items() if one] == [("other", MAC)]
    with pytest.raises(InvalidParameter, match="unable to migrate container-wide MAC address"):
        adapt_create(newer, (1, 44))
    with pytest.raises(InvalidParameter, match="container-wide MAC address no longer supported"):
        adapt_create(_request(MAC), (1, 52))


def test_several_networks_need_a_newer_client() -> None:
    with pytest.raises(InvalidParameter, match="multiple network endpoints: a, b"):
        adapt_create(_request("", "a", a=EndpointSettings(), b=EndpointSettings()), (1, 43))


def test_update() -> None:
    request = ContainerUpdateRequest(pids_limit=-1, blkio_weight_device=[WeightDevice("/dev/sda", 5)])
    adapt_update(request, (1, 54))
    assert (request.pids_limit, request.blkio_weight_device) == (0, None)
