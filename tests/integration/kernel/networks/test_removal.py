"""A device that is removed is gone, with its other end, its addresses and its routes."""

from __future__ import annotations

import os
import queue
import threading
from ipaddress import ip_interface, ip_network

import pytest

from moby.core.errors import MobyError
from moby.host import namespaces, netlink

pytestmark = pytest.mark.kernel


def inside() -> None:
    with netlink.RoutingSocket() as routing:
        routing.change([netlink.create_pair("one", "other")])
        for name in ("one", "other"):
            routing.change([netlink.set_link(name=name, up=True)])
        link = netlink.find_link(routing, "one")
        assert link is not None
        routing.change([netlink.add_address(link.index, ip_interface("192.0.2.1/24"))])
        netlink.remove_link(link)
        assert [one.name for one in netlink.links(routing)] == ["lo"]
        assert ip_network("192.0.2.0/24") not in [route.destination for route in netlink.routes(routing)]
        routing.change([netlink.create_pair("one", "other")])
        netlink.remove_link(link)
        assert len(netlink.links(routing)) == 3
        loopback = netlink.find_link(routing, "lo")
        assert loopback is not None
        with pytest.raises(MobyError, match="delete lo"):
            netlink.remove_link(loopback)


def test_a_device_is_gone_with_all_that_it_had() -> None:
    os.close(namespaces.prepare(inside))


def many() -> None:
    with netlink.RoutingSocket() as routing:
        names = [f"pair{number}" for number in range(60)]
        routing.change([netlink.create_pair(name, f"{name}-") for name in names])
        found = {link.name: link for link in netlink.links(routing)}
        routing.change([netlink.create_pair("stays", "stays-")])
        # Some are removed twice, and one is none that can be: the others go all the same.
        wanted = [*(found[name] for name in names), *(found[f"{name}-"] for name in names[:5]), found["lo"]]
        refused = queue.Queue[str]()

        def remove(link: netlink.Link) -> None:
            try:
                netlink.remove_link(link)
            except MobyError as error:
                refused.put(error.message)

        threads = [threading.Thread(target=remove, args=(link,)) for link in wanted]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {link.name for link in netlink.links(routing)} == {"lo", "stays", "stays-"}
        assert refused.get(timeout=0).startswith("delete lo")
        assert refused.empty()


def test_many_are_removed_together() -> None:
    os.close(namespaces.prepare(many))
