from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter
from moby.core.types.containers import DeviceMapping, HostConfig
from moby.runtime.spec.devices import devices


def test_a_device_and_the_right_to_use_it() -> None:
    nodes, rules = devices(HostConfig(devices=[DeviceMapping("/dev/null", "/dev/void", "r")]))
    assert [(node["path"], node["type"], node["major"], node["minor"]) for node in nodes] == [
        ("/dev/void", "c", 1, 3)
    ]
    assert rules[-1] == {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "r"}


def test_a_link_to_a_device_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/zero")
    nodes, _ = devices(HostConfig(devices=[DeviceMapping(str(tmp_path / "link"), "/dev/x", "rwm")]))
    assert [(node["path"], node["minor"]) for node in nodes] == [("/dev/x", 5)]


def test_a_directory_gives_every_device_below_it_and_follows_no_link_in_it() -> None:
    nodes, _ = devices(HostConfig(devices=[DeviceMapping("/dev", "/host", "rwm")]))
    paths = {node["path"] for node in nodes}
    assert {"/host/null", "/host/zero"} <= paths
    assert not any(path.startswith("/host/fd/") for path in paths)


@pytest.mark.parametrize("source", ["/no/such/device", "/etc/passwd", "/etc/ssl"])
def test_what_is_no_device(source: str) -> None:
    with pytest.raises(
        InvalidParameter, match="error gathering device information while adding custom device"
    ):
        devices(HostConfig(devices=[DeviceMapping(source, source, "rwm")]))


def test_rules_for_devices_that_are_not_there() -> None:
    _, rules = devices(HostConfig(device_cgroup_rules=["c 42:* rw", "a *:* m"]))
    assert rules[-2:] == [
        {"allow": True, "type": "c", "major": 42, "access": "rw"},
        {"allow": True, "type": "a", "access": "m"},
    ]
    with pytest.raises(InvalidParameter, match="invalid device cgroup rule format: 'c 1'"):
        devices(HostConfig(device_cgroup_rules=["c 1"]))


def test_a_privileged_container_has_every_device() -> None:
    nodes, rules = devices(HostConfig(privileged=True))
    assert {"/dev/null", "/dev/zero"} <= {node["path"] for node in nodes}
    assert rules == [{"allow": True, "access": "rwm"}]
