"""The packet filter's text as the kernel takes it, in a namespace where nobody is disturbed."""

from __future__ import annotations

import pytest

from moby.core.errors import NotFound
from moby.core.networks import Endpoint, PortMapping
from moby.host.nftables import Nftables
from moby.networks.firewall import Firewall
from moby.networks.firewall_rules import Rules

pytestmark = pytest.mark.kernel

RULES = Rules("docker7", "172.30.0.0/16")
WEB = Endpoint(
    "e" * 64, "n", "bridge", "s", ipv4="172.30.0.2/16", ports=(PortMapping("tcp", 80, "0.0.0.0", 8080),)
)


def test_the_host_does_not_route_for_strangers_once_it_was_so(nftables: Nftables) -> None:
    firewall = Firewall(nftables)
    firewall.install(RULES.bridge, [RULES], strangers=["ip"])
    firewall.install(RULES.bridge, [RULES])
    assert nftables.run("list ruleset").count('meta iifkind != "bridge" meta oifkind != "bridge" drop') == 1


def test_a_flushed_filter_is_made_again_with_every_port(nftables: Nftables) -> None:
    firewall = Firewall(nftables)
    firewall.install(RULES.bridge, [RULES])
    firewall.publish(WEB)
    full = nftables.run("list ruleset")
    nftables.run("flush ruleset")
    firewall.publish(WEB)
    assert nftables.run("list ruleset") == full


def test_withdrawing_works_whatever_is_left(nftables: Nftables) -> None:
    firewall = Firewall(nftables)
    firewall.install(RULES.bridge, [RULES])
    empty = nftables.run("list ruleset")
    firewall.publish(WEB)
    firewall.withdraw(WEB)
    assert nftables.run("list ruleset") == empty
    firewall.publish(WEB)
    nftables.run("flush map ip moby-docker7 published")
    firewall.withdraw(WEB)
    assert nftables.run("list ruleset") == empty
    firewall.publish(WEB)
    nftables.run("flush ruleset")
    firewall.withdraw(WEB)
    firewall.remove()


def test_replacing_drops_what_nobody_has(nftables: Nftables) -> None:
    Firewall(nftables).install(RULES.bridge, [RULES])
    first = Firewall(nftables)
    first.install(RULES.bridge, [RULES])
    first.publish(WEB)
    second = Firewall(nftables)
    second.install(RULES.bridge, [RULES])
    assert "8080" in nftables.run("list ruleset"), "what lives is not interrupted by a restart"
    second.replace([])
    assert "8080" not in nftables.run("list ruleset")


def test_two_daemons_tables_are_apart(nftables: Nftables) -> None:
    one, two = Firewall(nftables), Firewall(nftables)
    one.install(RULES.bridge, [RULES])
    two.install("docker8", [Rules("docker8", "172.31.0.0/16")])
    one.remove()
    assert "moby-docker8" in nftables.run("list ruleset")
    with pytest.raises(NotFound):
        nftables.run("list table ip moby-docker7")
