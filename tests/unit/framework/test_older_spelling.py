"""Assemblies of the tool's first days."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.framework.assembly import parse

OLD = """
kernel:
  image: "mobylinux/kernel:4.9"
  cmdline: "console=ttyS0"
init: "mobylinux/init:1"
system:
  - name: sysctl
    image: "mobylinux/sysctl:1"
    network_mode: host
    read_only: true
    capabilities:
     - CAP_SYS_ADMIN
daemon:
  - name: nginx
    image: "nginx:alpine"
    oom_score_adj: -500
files:
  - path: etc/docker/daemon.json
    contents: '{"debug": true}'
outputs:
  - format: kernel+initrd
"""


def test_older_names_are_todays() -> None:
    assembly = parse(OLD, "moby.yml")
    machine = assembly.machine
    assert machine.init == ["mobylinux/init:1"]
    (first,), (service,) = machine.onboot, machine.services
    assert (first.name, first.net, first.readonly) == ("sysctl", "host", True)
    assert (service.name, service.oom_score_adj) == ("nginx", -500)
    assert assembly.places["onboot[0].net"] == "moby.yml:9"
    assert assembly.places["services[0].image"] == "moby.yml:15"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("system: [{name: a, image: b, nett: x}]", r"a.yml:1: onboot\[0\].nett: unknown key 'nett'"),
        ("system: []\nonboot: []", "a.yml:1: system: unknown key 'system'"),
        ("daemon: [{name: a, image: b, net: x, network_mode: y}]", "unknown key 'network_mode'"),
        ("daemon: 5", "a.yml:1: services: Expected `array`"),
        ("system: [7]", r"a.yml:1: onboot\[0\]: Expected `object`"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(InvalidParameter, match=complaint):
        parse(text, "a.yml")


def test_todays_assemblies_know_no_older_keys() -> None:
    with pytest.raises(InvalidParameter, match="unknown key 'network_mode'"):
        parse("services: [{name: a, image: b, network_mode: y}]", "a.yml")
