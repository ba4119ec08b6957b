"""Control groups: what this host has of them, and what they tell."""

from moby.host.cgroups.facts import CgroupFacts, cgroup_facts
from moby.host.cgroups.kills import killed_for_memory
from moby.host.cgroups.moves import Moves
from moby.host.cgroups.quotas import lift_processor_quota
from moby.host.cgroups.readings import Readings
from moby.host.cgroups.usage import BlockCount, CgroupUsage, cgroup_directories, cgroup_usage

__all__ = [
    "BlockCount",
    "CgroupFacts",
    "CgroupUsage",
    "Moves",
    "Readings",
    "cgroup_directories",
    "cgroup_facts",
    "cgroup_usage",
    "killed_for_memory",
    "lift_processor_quota",
]
