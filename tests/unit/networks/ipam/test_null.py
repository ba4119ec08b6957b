"""Networks without addresses."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from moby.core.errors import InvalidParameter
from moby.core.networks import Address, Network, NetworkRequest, Subnet
from moby.networks.ipam import AnyNetwork, Ipam
from moby.networks.ipam.addressing import Addressing


@pytest.fixture
def addressing() -> Addressing:
    """Ours, without plugins."""

    async def occupied() -> Sequence[AnyNetwork]:
        return []

    return Addressing(Ipam(occupied))


async def test_everything_is_granted_to_everyone(addressing: Addressing) -> None:
    request = NetworkRequest("net", enable_ipv6=True, ipam_driver="null")
    found = await addressing.request(request, frozenset())
    assert [one.subnet for one in found] == ["0.0.0.0/0", "::/0"]
    network = Network("5" * 64, "net", "bridge", "", subnets=found, ipam_driver="null")
    assert await addressing.grant(network, "10.0.0.1") == Address()
    await addressing.free(network, "10.0.0.1/24")
    await addressing.drop(network)


async def test_nothing_in_particular_can_be_asked_for(addressing: Addressing) -> None:
    request = NetworkRequest("net", ipam_driver="null", subnets=[Subnet("10.0.0.0/24")])
    with pytest.raises(InvalidParameter, match="does not handle specific address pool requests"):
        await addressing.request(request, frozenset())
