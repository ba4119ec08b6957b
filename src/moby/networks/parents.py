"""This file is about which networks are on which parent device, for the drivers that put them there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moby.core.errors import InvalidParameter
from moby.core.networks import Network
from moby.networks.bridge_options import ENABLE4, ENABLE6, PREFIX, check_known
from moby.networks.parent_device import alone_name
from moby.networks.settings import check_device_name

PARENT = "parent"
_COMMON = (PARENT, ENABLE4, ENABLE6, PREFIX)


def parent_of(network: Network, kind: str, own: Sequence[str]) -> str:
    """The name of a network's parent; `own` are the options that this kind of networks has of its own.

    Raises InvalidParameter, NotImplemented for an option that is not known.
    """
    check_known(f"{kind} network option", network.options, {*_COMMON, *own})
    asked = network.options.get(PARENT, "")
    if asked == "lo":
        raise InvalidParameter(f"loopback interface is not a valid {kind} parent link")
    if not network.enable_ipv4 and not network.enable_ipv6:
        raise InvalidParameter("IPv4 or IPv6 must be enabled")
    return check_device_name(asked) if asked else alone_name(network.id)


def chosen(network: Network, option: str, allowed: Mapping[str, int], usual: str, words: str) -> int:
    """What an option stands for. Raises InvalidParameter, with the value in `words`."""
    value = network.options.get(option, "") or usual
    if value not in allowed:
        raise InvalidParameter(words.format(value))
    return allowed[value]


def is_inside(network: Network) -> bool:
    """Has the network no way out: by its user's wish, or without a parent?"""
    return network.internal or not network.options.get(PARENT)
