from __future__ import annotations

import os

import pytest

from moby.core.errors import InvalidParameter
from moby.core.types.containers import ContainerConfig, HealthConfig, HostConfig, PortBinding
from moby.engine.containers.checks import check_config, check_exposed, check_host_config
from moby.host.cgroups import cgroup_facts


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            ContainerConfig(working_dir="rel"),
            "the working directory 'rel' is invalid, it needs to be an absolute path",
        ),
        (ContainerConfig(stop_signal="NOPE"), "invalid signal: NOPE"),
        (ContainerConfig(env=["=x"]), "invalid environment variable: =x"),
        (ContainerConfig(hostname="h" * 65), f'hostname "{"h" * 65}" is too long (maximum 64 bytes)'),
        (
            ContainerConfig(healthcheck=HealthConfig(interval=5)),
            "Interval in Healthcheck cannot be less than 1ms",
        ),
        (ContainerConfig(healthcheck=HealthConfig(retries=-1)), "Retries in Healthcheck cannot be negative"),
    ],
)
def test_bad_configuration(config: ContainerConfig, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_config(config)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("port", "message"),
    [
        ("80-82/tcp", "invalid JSON: invalid port '80-82': invalid syntax"),
        ("x", "invalid JSON: invalid port 'x': invalid syntax"),
        ("80/icmp", 'invalid port specification: "80/icmp"'),
        ("0", 'invalid port specification: "0"'),
    ],
)
def test_exposed_ports_that_are_none(port: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_config(ContainerConfig(exposed_ports={port: {}}))
    assert caught.value.message == message


def test_working_directory_is_cleaned() -> None:
    config = ContainerConfig(working_dir="/a/../b/")
    check_config(config)
    assert config.working_dir == "/b"


@pytest.mark.parametrize(
    ("host", "message"),
    [
        (HostConfig(memory=1), "Minimum memory limit allowed is 6MB"),
        (HostConfig(port_bindings={"80/tcp": [PortBinding(host_port="70000")]}), 'invalid port specification: "70000"'),
        (HostConfig(port_bindings={"0/tcp": []}), 'invalid port specification: "0/tcp"'),
        (HostConfig(port_bindings={"9;1": []}), "invalid JSON: invalid port '9;1': invalid syntax"),
        (HostConfig(port_bindings={"70000/tcp": []}), "invalid JSON: invalid port '70000': value out of range"),
        (HostConfig(port_bindings={"/tcp": []}), "invalid JSON: invalid port '': value is empty"),
        (HostConfig(port_bindings={"9" * 5000: []}), "invalid JSON: invalid port '" + "9" * 5000 + "': value out of range"),
        (HostConfig(port_bindings={"80/tcp": [PortBinding(host_port="9-8")]}), 'invalid port specification: "9-8"'),
        (HostConfig(pid_mode="odd"), "invalid PID mode: odd"),
        (HostConfig(ipc_mode="container:"), "invalid IPC mode: container:"),
        (HostConfig(oom_score_adj=2000), "Invalid value 2000, range for oom score adj is [-1000, 1000]"),
        (HostConfig(nano_cpus=10**15), f"range of CPUs is from 0.01 to {os.cpu_count()}.00, "
         f"as there are only {os.cpu_count()} CPUs available"),
    ],
)  # fmt: skip
def test_bad_host_configuration(host: HostConfig, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_host_config(host, cgroup_facts())
    assert caught.value.message == message


def test_defaults_pass() -> None:
    check_config(ContainerConfig())
    assert check_host_config(HostConfig(), cgroup_facts()) == []


@pytest.mark.parametrize("port", ["x/tcp", "80/icmp", "82-80/tcp", "0/tcp", "1-65536/udp", ""])
def test_what_is_published_with_all_ports_is_a_port(port: str) -> None:
    check_exposed(["80", "80/TCP", "80-82/udp"])
    with pytest.raises(InvalidParameter, match=f'invalid port specification: "{port}"'):
        check_exposed([port])
