"""What an administrator may set."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.networks.settings import BridgeSettings, check_device_name


def test_defaults_are_good() -> None:
    BridgeSettings().check()


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(BridgeSettings(bip="x"), id="bip"),
        pytest.param(BridgeSettings(fixed_cidr="10.0.0.0/99"), id="fixed-cidr"),
        pytest.param(BridgeSettings(default_gateway="10.0.0"), id="gateway"),
        pytest.param(BridgeSettings(mtu=3), id="mtu"),
        pytest.param(BridgeSettings(bridge="a b"), id="name"),
        pytest.param(BridgeSettings(bridge="br0", bip="10.0.0.1/24"), id="both"),
        pytest.param(BridgeSettings(ip="nowhere"), id="ip"),
        pytest.param(BridgeSettings(accepted_mark="1; drop"), id="mark"),
        pytest.param(BridgeSettings(bip6="10.0.0.1/24"), id="bip6"),
        pytest.param(BridgeSettings(fixed_cidr_v6="10.0.0.0/8"), id="fixed-cidr-v6"),
        pytest.param(BridgeSettings(fixed_cidr_v6="ff02::/64"), id="multicast"),
        pytest.param(BridgeSettings(fixed_cidr_v6="fe80::/80"), id="link-local"),
        pytest.param(BridgeSettings(default_gateway_v6="x"), id="gateway6"),
    ],
)
def test_bad_values_are_named(settings: BridgeSettings) -> None:
    with pytest.raises(InvalidParameter):
        settings.check()


@pytest.mark.parametrize("name", ["", "..", "eth0;x", "a" * 16, 'br"0', "br*/"])
def test_names_that_no_device_has(name: str) -> None:
    with pytest.raises(InvalidParameter):
        check_device_name(name)
