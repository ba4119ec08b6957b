"""This file is about networks that clients ask for: what is refused, and what the settings add."""

from __future__ import annotations

from collections.abc import Mapping

from moby.core.errors import Forbidden, InvalidParameter
from moby.core.networks import NetworkRequest, Subnet
from moby.core.types.networks import IPAM, IPAMPool, NetworkCreateRequest
from moby.engine.network_filters import PREDEFINED

_NO_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node '
    "to swarm and try again."
)
# What older clients call the default network is nobody's name either.
_RESERVED = PREDEFINED | {"default"}
_ENABLE = "com.docker.network.enable_ipv{}"
_TRUTH = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


def wanted(request: NetworkCreateRequest, defaults: Mapping[str, Mapping[str, str]]) -> NetworkRequest:
    """What is asked for, with the options that the settings have for networks of a driver (`defaults`).

    Raises InvalidParameter, Forbidden.
    """
    _check(request)
    source = request.config_from.network if request.config_from else ""
    options = dict(request.options or {})
    if not source:
        options = {**defaults.get(request.driver or "bridge", {}), **options}
    ipam = request.ipam or IPAM()
    return NetworkRequest(
        name=request.name,
        driver=request.driver,
        enable_ipv4=_enabled(4, request.enable_ipv4, options, True),
        enable_ipv6=_enabled(6, request.enable_ipv6, options, False),
        internal=request.internal,
        attachable=request.attachable,
        subnets=[_subnet(pool) for pool in ipam.config or ()],
        options=options,
        labels=request.labels or {},
        ipam_options=ipam.options,
        config_only=request.config_only,
        config_from=source,
        ipam_driver="" if ipam.driver == "default" else ipam.driver,
    )


def _check(request: NetworkCreateRequest) -> None:
    if not request.name.strip():
        raise InvalidParameter("invalid name: name is empty")
    if request.name in _RESERVED:
        raise Forbidden(f"operation is not permitted on predefined {request.name} network")
    operators = request.ingress or request.internal or request.attachable or request.scope
    if request.config_only and operators:
        raise Forbidden(
            "configuration network can only contain network specific fields. Network operator fields like "
            "[ ingress | internal | attachable | scope ] are not supported."
        )
    if request.driver == "overlay":
        raise Forbidden(_NO_MANAGER)
    if request.ingress:
        raise Forbidden("Ingress network can only be global scope network")
    if request.scope not in ("", "local"):
        raise Forbidden("cannot create a swarm scoped network when swarm is not active")


def _enabled(version: int, asked: bool | None, options: dict[str, str], usual: bool) -> bool:
    """Is a family wanted? What is asked for comes before the option that says so too."""
    label = _ENABLE.format(version)
    if asked is not None:
        options.pop(label, None)
        return asked
    if label not in options:
        return usual
    if options[label] not in _TRUTH:
        raise InvalidParameter(f'driver-opt "{label}" is not a valid bool')
    return _TRUTH[options[label]]


def _subnet(pool: IPAMPool) -> Subnet:
    return Subnet(pool.subnet, pool.gateway, pool.ip_range, dict(pool.auxiliary_addresses))
