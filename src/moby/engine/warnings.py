"""This file is about what `docker info` warns of: limits that the host cannot set, and doors that stand open.

The words are dockerd's, since tools look for them.
"""

from __future__ import annotations

from collections.abc import Iterator

from moby.engine.addresses import addresses
from moby.engine.config import EngineConfig
from moby.host.cgroups import CgroupFacts

_OPEN = """\
[DEPRECATION NOTICE]: API is accessible on {url} without {lacks}.
         Access to the remote API is equivalent to root access on the host. Refer
         to the 'Docker daemon attack surface' section in the documentation for
         more information: https://docs.docker.com/go/attack-surface/
In future versions this will be a hard failure preventing the daemon from starting! Learn more at: \
https://docs.docker.com/go/api-security/"""


def warnings(config: EngineConfig, cgroups: CgroupFacts, *, forwarding: bool) -> list[str]:
    """All of them, in dockerd's order; `forwarding` says whether the host passes packets on."""
    found = list(_open_doors(config))
    if config.seccomp_profile not in ("", "builtin"):
        found.append("WARNING: daemon is not using the default seccomp profile")
    found += [f"WARNING: No {what} support" for what in _lacking(cgroups)]
    if not forwarding:
        found.append("WARNING: IPv4 forwarding is disabled")
    return found


def _open_doors(config: EngineConfig) -> Iterator[str]:
    if config.tlsverify:
        return
    scheme, lacks = ("https", "TLS client verification") if config.tls else ("http", "encryption")
    for address in addresses(config):
        if address.startswith("tcp://"):
            yield _OPEN.format(url=f"{scheme}://{address.removeprefix('tcp://')}", lacks=lacks)


def _lacking(cgroups: CgroupFacts) -> Iterator[str]:
    unified = cgroups.version == 2
    # Weights of devices and killing in the kernel's own way are no matter of whoever administers the host
    # where the other version of control groups never has them.
    known = (
        (cgroups.memory_limit, "memory limit"),
        (cgroups.swap_limit, "swap limit"),
        (cgroups.oom_kill_disable or unified, "oom kill disable"),
        (cgroups.cpu_cfs_quota, "cpu cfs quota"),
        (cgroups.cpu_cfs_period, "cpu cfs period"),
        (cgroups.cpu_shares, "cpu shares"),
        (cgroups.cpuset, "cpuset"),
        (cgroups.block_weight or not unified, "io.weight"),
        (cgroups.block_weight_device or not unified, "io.weight (per device)"),
        (cgroups.block_read_rate, "io.max (rbps)" if unified else "blkio throttle.read_bps_device"),
        (cgroups.block_write_rate, "io.max (wbps)" if unified else "blkio throttle.write_bps_device"),
        (cgroups.block_read_operations, "io.max (riops)" if unified else "blkio throttle.read_iops_device"),
        (cgroups.block_write_operations, "io.max (wiops)" if unified else "blkio throttle.write_iops_device"),
    )
    return (what for there, what in known if not there)
