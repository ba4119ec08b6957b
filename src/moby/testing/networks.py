"""What every network driver must do, as tests: subclass and give it a driver."""

from __future__ import annotations

import msgspec

from moby.core.networks import Endpoint, Network, NetworkDriver


class NetworkDriverSuite:
    """Tests of the role NetworkDriver.

    A subclass gives the fixtures `driver`; `network`, created; `sandbox`, the path of a namespace that is the
    test's own; and `endpoint`, one on that network that has not joined, with the address that it is to have.
    """

    async def test_created_again_a_network_stays(
        self, driver: NetworkDriver, network: Network, endpoint: Endpoint, sandbox: str
    ) -> None:
        joined = await driver.join(network, endpoint, sandbox)
        await driver.create(network)
        await driver.leave(network, joined, sandbox, closing=False)

    async def test_predefined_network_keeps_its_id(self, driver: NetworkDriver, network: Network) -> None:
        stored = await driver.predefined(network)
        assert stored is None or stored.id == network.id

    async def test_join_keeps_what_was_granted(
        self, driver: NetworkDriver, network: Network, endpoint: Endpoint, sandbox: str
    ) -> None:
        joined = await driver.join(network, endpoint, sandbox)
        assert (joined.id, joined.sandbox_id, joined.ipv4) == (
            endpoint.id,
            endpoint.sandbox_id,
            endpoint.ipv4,
        )
        assert not joined.ipv4 or joined.mac_address
        await driver.leave(network, joined, sandbox, closing=False)

    async def test_left_twice_is_no_error(
        self, driver: NetworkDriver, network: Network, endpoint: Endpoint, sandbox: str
    ) -> None:
        joined = await driver.join(network, endpoint, sandbox)
        await driver.leave(network, joined, sandbox, closing=False)
        await driver.leave(network, joined, sandbox, closing=False)

    async def test_left_sandbox_can_be_joined_again(
        self, driver: NetworkDriver, network: Network, endpoint: Endpoint, sandbox: str
    ) -> None:
        for _ in range(2):
            joined = await driver.join(network, endpoint, sandbox)
            await driver.leave(network, joined, sandbox, closing=False)

    async def test_leave_of_an_endpoint_that_never_joined_is_no_error(
        self, driver: NetworkDriver, network: Network, endpoint: Endpoint, sandbox: str
    ) -> None:
        await driver.leave(network, endpoint, sandbox, closing=True)

    async def test_restored_endpoint_can_leave(
        self, driver: NetworkDriver, network: Network, endpoint: Endpoint, sandbox: str
    ) -> None:
        joined = await driver.join(network, endpoint, sandbox)
        await driver.restore(network, [joined])
        await driver.leave(network, joined, sandbox, closing=False)

    async def test_deleted_network_can_be_deleted_again(
        self, driver: NetworkDriver, network: Network
    ) -> None:
        other = msgspec.structs.replace(network, id="6" * 64)
        await driver.delete(other)
        await driver.delete(other)
