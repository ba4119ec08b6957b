"""Control groups: what this host has of them."""

from moby.host.cgroups.facts import CgroupFacts, cgroup_facts

__all__ = ["CgroupFacts", "cgroup_facts"]
