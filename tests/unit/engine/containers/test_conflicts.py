from __future__ import annotations

from typing import Any

import pytest

from moby.core.errors import InvalidParameter, MobyError, NotImplemented, System
from moby.core.types.containers import ContainerConfig, HostConfig, PortBinding, RestartPolicy
from moby.engine.config import EngineConfig, RuntimeEntry
from moby.engine.containers.conflicts import check_conflicts, check_runtime

PLAIN = ContainerConfig()
LINKS = "can't be used with links. This would result in undefined behavior"


def joined(**fields: Any) -> HostConfig:
    return HostConfig(network_mode="container:other", **fields)


@pytest.mark.parametrize(
    ("config", "host", "message"),
    [
        (PLAIN, HostConfig(network_mode="container"), "invalid network mode: invalid container format container:<name|id>"),
        (PLAIN, HostConfig(network_mode="container:"), "invalid network mode: invalid container format container:<name|id>"),
        (ContainerConfig(hostname="h"), joined(), "conflicting options: hostname and the network mode"),
        (PLAIN, joined(links=["a"]), f"conflicting options: container type network {LINKS}"),
        (PLAIN, joined(dns=["1.1.1.1"]), "conflicting options: dns and the network mode"),
        (PLAIN, joined(extra_hosts=["a:1.1.1.1"]),
         "conflicting options: custom host-to-IP mapping and the network mode"),
        (PLAIN, joined(port_bindings={"80/tcp": [PortBinding()]}),
         "conflicting options: port publishing and the container type network mode"),
        (PLAIN, joined(publish_all_ports=True),
         "conflicting options: port publishing and the container type network mode"),
        (ContainerConfig(exposed_ports={"80/tcp": {}}), joined(),
         "conflicting options: port exposing and the container type network mode"),
        (ContainerConfig(hostname="h"), HostConfig(uts_mode="host"), "conflicting options: hostname and the UTS mode"),
        (PLAIN, HostConfig(network_mode="host", links=["a"]), f"conflicting options: host type networking {LINKS}"),
        (PLAIN, HostConfig(restart_policy=RestartPolicy("sometimes")),
         "invalid restart policy: unknown policy 'sometimes'; "
         "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"),
        (PLAIN, HostConfig(restart_policy=RestartPolicy("always", 3)),
         "invalid restart policy: maximum retry count can only be used with 'on-failure'"),
        (PLAIN, HostConfig(restart_policy=RestartPolicy("no", -1)),
         "invalid restart policy: maximum retry count can only be used with 'on-failure' and cannot be negative"),
        (PLAIN, HostConfig(restart_policy=RestartPolicy("on-failure", -1)),
         "invalid restart policy: maximum retry count cannot be negative"),
        (PLAIN, HostConfig(auto_remove=True, restart_policy=RestartPolicy("always")),
         "can't create 'AutoRemove' container with restart policy"),
        (PLAIN, HostConfig(extra_hosts=["name"]), 'bad format for add-host: "name"'),
        (PLAIN, HostConfig(extra_hosts=["name:300.1.1.1"]), 'invalid IP address in add-host: "300.1.1.1"'),
        (PLAIN, HostConfig(tmpfs={"/": ""}), "invalid specification: destination can't be '/'"),
        (PLAIN, HostConfig(tmpfs={"x": ""}), "invalid mount path: 'x' mount path must be absolute"),
        (PLAIN, HostConfig(isolation="process"), "invalid isolation (process): linux only supports 'default'"),
        (PLAIN, HostConfig(runtime="fast"), "unknown or invalid runtime name: fast"),
        (PLAIN, HostConfig(security_opt=["x=y"]), 'invalid --security-opt 2: "x=y"'),
        (PLAIN, HostConfig(userns_mode="mine"), "invalid user namespace mode: mine"),
    ],
)  # fmt: skip
def test_what_contradicts_itself(config: ContainerConfig, host: HostConfig, message: str) -> None:
    with pytest.raises(InvalidParameter) as failure:
        check_conflicts(config, host, EngineConfig())
    assert failure.value.message == message


@pytest.mark.parametrize(
    ("host", "kind", "message"),
    [
        (
            HostConfig(storage_opt={"size": "1G"}),
            System,
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        ),
        (HostConfig(storage_opt={"colour": "red"}), System, "Unknown option colour"),
        (HostConfig(cgroup="container:x"), NotImplemented, "HostConfig.Cgroup is not supported on linux"),
    ],
)
def test_what_no_container_of_ours_can_have(host: HostConfig, kind: type[MobyError], message: str) -> None:
    with pytest.raises(kind) as failure:
        check_conflicts(PLAIN, host, EngineConfig())
    assert failure.value.message == message


def test_what_goes_together() -> None:
    check_conflicts(PLAIN, HostConfig(), EngineConfig())
    check_conflicts(
        ContainerConfig(hostname="h"),
        HostConfig(
            extra_hosts=["a:host-gateway", "b:[::1]", "c:::1"],
            dns=["10.0.0.1", "::1"],
            tmpfs={"/run": "size=1m"},
            restart_policy=RestartPolicy("on-failure", 3),
            userns_mode="host",
        ),
        EngineConfig(),
    )


def test_runtimes_are_known_by_name_or_are_shims_by_type() -> None:
    settings = EngineConfig(runtimes={"mine": RuntimeEntry(path="/bin/mine")})
    for name in ("", "runc", "mine", "io.containerd.kata.v2"):
        check_runtime(name, settings)
    for name in ("other", "/usr/bin/mine", "a/b.c", ".x"):
        with pytest.raises(InvalidParameter, match="unknown or invalid runtime name"):
            check_runtime(name, settings)
