"""This file is about what older clients mean when they create or update a container.

What their version did not know is ignored or refused as dockerd does it; what it knew under another name or
with another default is brought into today's form.
"""

from __future__ import annotations

from collections.abc import Collection

from moby.api.versions import Version
from moby.core.errors import InvalidParameter
from moby.core.types.containers import (
    ContainerCreateRequest,
    ContainerUpdateRequest,
    EndpointSettings,
    HostConfig,
    Mount,
    NetworkingConfig,
)

_MAC_WARNING = (
    "The container-wide MacAddress field is now deprecated. "
    "It should be specified in EndpointsConfig instead."
)


def adapt_create(request: ContainerCreateRequest, version: Version) -> list[str]:
    """Bring a request of `version` into today's form; warnings for the client. Raises InvalidParameter."""
    host = request.host_config = request.host_config or HostConfig()
    networking = request.networking_config = request.networking_config or NetworkingConfig()
    networking.endpoints_config = networking.endpoints_config or {}
    for mount in host.mounts:
        _adapt_mount(mount, version)
    if version < (1, 40) and not host.ipc_mode:
        host.ipc_mode = "shareable"
    if version < (1, 42):
        host.console_size = (0, 0)
    if version < (1, 43):
        host.annotations = {}
    if version < (1, 44):
        if request.healthcheck is not None:
            request.healthcheck.start_interval = 0
        if len(networking.endpoints_config) > 1:
            names = ", ".join(networking.endpoints_config)
            raise InvalidParameter(f"Container cannot be created with multiple network endpoints: {names}")
    if version < (1, 48):
        for endpoint in networking.endpoints_config.values():
            if endpoint is not None:
                endpoint.gw_priority = 0
    if host.pids_limit is not None and host.pids_limit <= 0:
        host.pids_limit = None
    return _adapt_mac_address(request, host, networking, version)


def _adapt_mount(mount: Mount, version: Version) -> None:
    if version >= (1, 42):
        for kind, field, options in (
            ("volume", "VolumeOptions", mount.volume_options),
            ("bind", "BindOptions", mount.bind_options),
            ("tmpfs", "TmpfsOptions", mount.tmpfs_options),
        ):
            if options is not None and mount.type != kind:
                raise InvalidParameter(f'{field} must not be specified on mount type "{mount.type}"')
    else:
        if mount.type != "volume":
            mount.volume_options = None
        if mount.type != "tmpfs":
            mount.tmpfs_options = None
        if mount.bind_options is not None:
            mount.bind_options.create_mountpoint = False
    if version < (1, 40) and mount.bind_options is not None:
        mount.bind_options.non_recursive = False
    if version < (1, 44) and mount.bind_options is not None and mount.bind_options.read_only_force_recursive:
        raise InvalidParameter("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer")
    if version < (1, 45) and mount.volume_options is not None and mount.volume_options.subpath:
        raise InvalidParameter("VolumeOptions.Subpath needs API v1.45 or newer")
    if version < (1, 48) and mount.type == "image":
        raise InvalidParameter('Mount type "Image" needs API v1.48 or newer')


def _adapt_mac_address(
    request: ContainerCreateRequest, host: HostConfig, networking: NetworkingConfig, version: Version
) -> list[str]:
    """A container's MAC address became its endpoint's in v1.44."""
    endpoints = networking.endpoints_config or {}
    address, request.mac_address = request.mac_address, ""
    mode = host.network_mode or "default"
    plain = mode not in ("host", "none") and not mode.startswith("container:")
    if version >= (1, 52):
        if address:
            raise InvalidParameter(
                "container-wide MAC address no longer supported; use endpoint-specific MAC address instead"
            )
        return []
    if version < (1, 44):
        if not address:
            for endpoint in endpoints.values():
                if endpoint is not None:
                    endpoint.mac_address = ""
            return []
        if not plain:
            raise InvalidParameter("conflicting options: mac-address and the network mode")
    if not address:
        return []
    if plain:
        name = _main_network(mode, endpoints, version)
        endpoint = endpoints.get(name) or EndpointSettings()
        if version >= (1, 44) and endpoint.mac_address not in ("", address):
            raise InvalidParameter(
                "the container-wide MAC address must match the endpoint-specific MAC address "
                "for the main network, or be left empty"
            )
        endpoint.mac_address = address
        endpoints[name] = endpoint
        networking.endpoints_config = endpoints
    # The engine keeps the address with the container, where older clients look for it.
    request.mac_address = address
    return [_MAC_WARNING] if version >= (1, 44) else []


def _main_network(mode: str, endpoints: Collection[str], version: Version) -> str:
    """Which of the networks that are named is the mode's. Raises InvalidParameter if that is not sure."""
    if mode in endpoints or not endpoints:
        return mode
    if version < (1, 44):
        return next(iter(endpoints))
    if mode == "default" and "bridge" in endpoints:
        return "bridge"
    raise InvalidParameter(
        "unable to migrate container-wide MAC address to a specific network: HostConfig.NetworkMode must "
        "match the identity of a network in NetworkSettings.Networks"
    )


def adapt_update(request: ContainerUpdateRequest, version: Version) -> None:
    """Bring an update of `version` into today's form."""
    if version < (1, 40):
        request.pids_limit = None
    if version < (1, 55):
        request.blkio_weight_device = None
        request.blkio_device_read_bps = request.blkio_device_write_bps = None
        request.blkio_device_read_iops = request.blkio_device_write_iops = None
    if request.pids_limit is not None and request.pids_limit <= 0:
        request.pids_limit = 0
