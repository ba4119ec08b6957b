"""What stands in /etc/hosts and /etc/resolv.conf."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.networks.names import hosts_file, resolv_conf, resolv_conf_source

LOCAL = (
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
)


def test_hosts_of_a_plain_container() -> None:
    assert hosts_file("0123456789ab", addresses=["172.17.0.2/16"]) == LOCAL + "172.17.0.2\t0123456789ab\n"


def test_hosts_without_network() -> None:
    assert hosts_file("box") == LOCAL


@pytest.mark.parametrize(("host", "domain"), [("web", "example.org"), ("web.example.org", "")])
def test_a_name_with_a_domain_is_there_in_full_and_in_short(host: str, domain: str) -> None:
    assert hosts_file(host, domain, ["10.0.0.2"]).endswith("10.0.0.2\tweb.example.org web\n")


def test_extra_hosts_come_before_the_own_name() -> None:
    text = hosts_file("box", "", ["10.0.0.2"], ["db:10.0.0.9", "six=[fd00::1]", "v6:fd00::2"])
    assert text.removeprefix(LOCAL) == "10.0.0.9\tdb\nfd00::1\tsix\nfd00::2\tv6\n10.0.0.2\tbox\n"


def test_host_gateway_is_the_host() -> None:
    text = hosts_file(
        "box", extra_hosts=["host.docker.internal:host-gateway"], host_gateways=["172.17.0.1", "fd00::1"]
    )
    assert text.endswith("172.17.0.1\thost.docker.internal\nfd00::1\thost.docker.internal\n")
    with pytest.raises(InvalidParameter, match="host-gateway"):
        hosts_file("box", extra_hosts=["h:host-gateway"])


@pytest.mark.parametrize("entry", ["db", ":10.0.0.1", "db:", "db:nowhere"])
def test_bad_extra_hosts(entry: str) -> None:
    with pytest.raises(InvalidParameter):
        hosts_file("box", extra_hosts=[entry])


HOST = "# made by hand\nnameserver 127.0.0.53\nnameserver 10.0.0.1\nnameserver fd00::1\nsearch a b\noptions ndots:2\n"


def test_servers_out_of_reach_are_left_out() -> None:
    assert resolv_conf(HOST) == "nameserver 10.0.0.1\nsearch a b\noptions ndots:2\n"


def test_public_servers_when_none_is_left() -> None:
    assert resolv_conf("nameserver 127.0.0.1\n") == "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"
    assert resolv_conf("") == "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"


def test_in_the_host_s_namespace_everything_is_in_reach() -> None:
    assert "127.0.0.53" in resolv_conf(HOST, own_namespace=False)


def test_what_is_given_replaces_what_the_host_has() -> None:
    text = resolv_conf(HOST, servers=["127.0.0.1"], search=["."], options=["timeout:1"])
    assert text == "nameserver 127.0.0.1\noptions timeout:1\n"


def test_unknown_lines_stay_and_broken_ones_go() -> None:
    assert resolv_conf("nameserver x\nnameserver\nsortlist 10.0.0.0\ndomain d\nnameserver 10.0.0.1\n") == (
        "nameserver 10.0.0.1\nsearch d\nsortlist 10.0.0.0\n"
    )


def test_a_bad_server_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="invalid DNS server"):
        resolv_conf("", servers=["x"])


def test_behind_systemd_s_stub_stand_the_real_servers() -> None:
    assert str(resolv_conf_source("nameserver 127.0.0.53\n")) == "/run/systemd/resolve/resolv.conf"
    assert str(resolv_conf_source("nameserver 10.0.0.1\n")) == "/etc/resolv.conf"
