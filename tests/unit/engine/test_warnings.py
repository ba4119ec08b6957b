"""What `docker info` warns of, in dockerd's words and order."""

from __future__ import annotations

import msgspec
import pytest

from moby.engine.config import EngineConfig
from moby.engine.warnings import warnings
from moby.host.cgroups import CgroupFacts

NAMES = [field.name for field in msgspec.structs.fields(CgroupFacts) if field.type is bool]
ALL = msgspec.convert(
    {"version": 1, "controllers": [], "unclaimed": [], **dict.fromkeys(NAMES, True)}, CgroupFacts
)
NONE = msgspec.structs.replace(ALL, **dict.fromkeys(NAMES, False))


def test_nothing_is_wrong() -> None:
    config = EngineConfig(hosts=("unix:///a.sock", "tcp://:1", "fd://"), tlsverify=True, tls=True)
    assert warnings(config, ALL, forwarding=True) == []


@pytest.mark.parametrize(
    ("version", "first_block", "last"), [(1, 7, "blkio throttle.write_iops_device"), (2, 6, "io.max (wiops)")]
)
def test_limits_that_cannot_be_set(version: int, first_block: int, last: str) -> None:
    found = warnings(EngineConfig(), msgspec.structs.replace(NONE, version=version), forwarding=False)
    assert found[:2] == ["WARNING: No memory limit support", "WARNING: No swap limit support"]
    assert found[-2:] == [f"WARNING: No {last} support", "WARNING: IPv4 forwarding is disabled"]
    assert ("WARNING: No oom kill disable support" in found) == (version == 1)
    assert ("WARNING: No io.weight support" in found) == (version == 2)
    assert found.index("WARNING: No cpuset support") == first_block - 1


@pytest.mark.parametrize(
    ("tls", "words"),
    [
        (False, "[DEPRECATION NOTICE]: API is accessible on http://0.0.0.0:2375 without encryption.\n"),
        (
            True,
            "[DEPRECATION NOTICE]: API is accessible on https://0.0.0.0:2376 without TLS client verification.\n",
        ),
    ],
)
def test_an_open_door(tls: bool, words: str) -> None:
    (found,) = warnings(EngineConfig(hosts=("tcp://0.0.0.0",), tls=tls), ALL, forwarding=True)
    assert found.startswith(words)
    assert found.endswith("Learn more at: https://docs.docker.com/go/api-security/")


def test_a_profile_of_ones_own() -> None:
    found = warnings(EngineConfig(seccomp_profile="/my.json"), ALL, forwarding=True)
    assert found == ["WARNING: daemon is not using the default seccomp profile"]
