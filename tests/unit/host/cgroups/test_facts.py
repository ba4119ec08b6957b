"""Control groups, as hosts have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.host.cgroups import cgroup_facts


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


LEGACY = {
    "memory/memory.limit_in_bytes": "",
    "memory/memory.memsw.limit_in_bytes": "",
    "memory/memory.oom_control": "",
    "cpu,cpuacct/cpu.shares": "",
    "cpu,cpuacct/cpu.cfs_period_us": "",
    "cpu,cpuacct/cpu.cfs_quota_us": "",
    "cpuset/cpuset.cpus": "",
    "pids/tasks": "",
    "systemd/tasks": "",
    "unified/cgroup.procs": "",
}


def test_version_1(tmp_path: Path) -> None:
    root = tree(tmp_path, LEGACY)
    (root / "cpu").symlink_to("cpu,cpuacct")
    facts = cgroup_facts(root)
    assert facts.version == 1
    assert facts.controllers == {"memory", "cpu", "cpuacct", "cpuset", "pids"}
    assert facts.memory_limit
    assert facts.swap_limit
    assert facts.oom_kill_disable
    assert facts.cpu_cfs_period
    assert facts.cpu_cfs_quota
    assert facts.cpu_shares
    assert facts.cpuset
    assert facts.pids_limit
    assert not facts.hybrid


@pytest.mark.parametrize(("left", "hybrid"), [("hugetlb\n", True), ("\n", False)])
def test_a_controller_left_on_version_2_makes_a_hybrid(tmp_path: Path, left: str, hybrid: bool) -> None:
    facts = cgroup_facts(tree(tmp_path, {**LEGACY, "unified/cgroup.controllers": left}))
    assert facts.hybrid is hybrid
    assert facts.unclaimed == {*left.split()}


def test_version_1_without_swap_accounting(tmp_path: Path) -> None:
    facts = cgroup_facts(tree(tmp_path, {"memory/memory.limit_in_bytes": ""}))
    assert facts.memory_limit
    assert not facts.swap_limit
    assert not facts.cpu_shares


def test_version_2(tmp_path: Path) -> None:
    root = tree(
        tmp_path / "cgroup",
        {"cgroup.controllers": "cpuset cpu io memory pids\n", "own.slice/memory.swap.max": "max\n"},
    )
    own = tree(tmp_path, {"self": "0::/own.slice\n"}) / "self"
    facts = cgroup_facts(root, own)
    assert facts.version == 2
    assert facts.memory_limit
    assert facts.swap_limit
    assert facts.cpu_cfs_quota
    assert facts.cpuset
    assert facts.pids_limit
    assert not facts.oom_kill_disable
    assert not facts.hybrid


@pytest.mark.parametrize("own", ["0::/own.slice\n", "0::/\n", ""])
def test_version_2_without_swap_accounting(tmp_path: Path, own: str) -> None:
    root = tree(tmp_path / "cgroup", {"cgroup.controllers": "memory\n", "own.slice/memory.max": "max\n"})
    facts = cgroup_facts(root, tree(tmp_path, {"self": own}) / "self")
    assert facts.memory_limit
    assert not facts.swap_limit
    assert not facts.pids_limit


def test_a_host_without_any(tmp_path: Path) -> None:
    facts = cgroup_facts(tmp_path / "absent")
    assert not facts.controllers
    assert not facts.memory_limit
