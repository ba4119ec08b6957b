"""This file is about which of a sandbox's networks give its way out, and with that publish its ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from moby.core.networks import Endpoint, PortMapping


def with_ways_out(
    endpoints: Sequence[Endpoint], internal: Mapping[str, bool], ports: tuple[PortMapping, ...]
) -> tuple[Endpoint, ...]:
    """The endpoints, one of each family with the default route, and those with the ports to be published.

    The best is the one with the highest priority; then one that is not on an internal network (`internal`
    says so by network), one with gateways of both families, the first by its network's name.
    """

    def rank(endpoint: Endpoint) -> tuple[int, bool, int, str]:
        gateways = bool(endpoint.gateway) + bool(endpoint.gateway6)
        return -endpoint.priority, internal.get(endpoint.network_id, False), -gateways, endpoint.network_name

    ranked = sorted(endpoints, key=rank)
    first = next((one.id for one in ranked if one.gateway), "")
    first6 = next((one.id for one in ranked if one.gateway6), "")
    return tuple(
        msgspec.structs.replace(
            one,
            default_route=one.id == first,
            default_route6=one.id == first6,
            ports=ports if one.id in (first, first6) else (),
        )
        for one in endpoints
    )


def moved(before: Endpoint, after: Endpoint) -> bool:
    """Does the endpoint give other ways out than it did?"""
    return _ways(before) != _ways(after)


def _ways(endpoint: Endpoint) -> tuple[bool, bool]:
    return (
        bool(endpoint.default_route and endpoint.gateway),
        bool(endpoint.default_route6 and endpoint.gateway6),
    )
