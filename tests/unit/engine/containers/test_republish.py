"""Which ports of the host stay with what is published anew."""

from __future__ import annotations

import pytest

from moby.core.errors import Conflict
from moby.core.networks import PortMapping
from moby.core.types.containers import HostConfig
from moby.core.types.networks import PortBinding
from moby.engine.containers.republish import _kept, with_bindings

BEFORE = {"80/tcp": [PortBinding("0.0.0.0", "32768"), PortBinding("::", "32768")]}
ANY = PortMapping("tcp", 80)


def test_what_leaves_the_choice_keeps_its_port() -> None:
    other = PortMapping("tcp", 80, "127.0.0.1", 8080, 8080)
    assert _kept((ANY, other), BEFORE) == (PortMapping("tcp", 80, "", 32768, 32768), other)


def test_a_port_of_one_address_is_not_that_of_all() -> None:
    before = {"80/tcp": [PortBinding("127.0.0.1", "8123"), *BEFORE["80/tcp"]]}
    assert _kept((ANY,), before) == (PortMapping("tcp", 80, "", 32768, 32768),)
    assert _kept((ANY,), {"80/tcp": before["80/tcp"][:1]}) == (PortMapping("tcp", 80, "", 8123, 8123),)


def test_a_port_is_kept_once_and_never_by_two() -> None:
    asked = PortMapping("tcp", 80, "", 32768, 32768)
    assert _kept((asked, ANY), BEFORE) == (asked, ANY)
    assert _kept((ANY, ANY), BEFORE) == (PortMapping("tcp", 80, "", 32768, 32768), ANY)
    ranged = PortMapping("tcp", 80, "", 32000, 33000)
    assert _kept((ranged,), BEFORE) == (PortMapping("tcp", 80, "", 32768, 32768),)
    assert _kept((PortMapping("udp", 80),), BEFORE) == (PortMapping("udp", 80),)


def test_without_a_network_of_its_own_nothing_is_published() -> None:
    with pytest.raises(Conflict):
        with_bindings(HostConfig(network_mode="host"), {"80/tcp": None})
