"""Where a bridge's rules stand."""

from __future__ import annotations

from moby.networks.firewall_rules import Rules, place_of


def test_what_is_translated_is_the_bridge_s_own_and_what_is_permitted_in_common() -> None:
    four, six = Rules("docker7", "172.30.0.0/16"), Rules("docker7", "fd00:7::/64")
    assert place_of(four, "published") == ("ip", "moby-docker7", "published")
    assert place_of(six, "allowed") == ("ip6", "moby", "allowed-docker7")
    assert (four.version, six.version) == (4, 6)
