from __future__ import annotations

from typing import Any

import pytest

from moby.core.errors import InvalidParameter
from moby.core.types.containers import HostConfig
from moby.runtime.spec.mounts import Bind, merged_tmpfs_options, mounts


def by_target(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {mount["destination"]: mount for mount in found}


@pytest.mark.parametrize(
    ("bind", "options"),
    [
        (Bind("/a", "/b"), ["rbind", "rprivate"]),
        (Bind("/a", "/b", writable=False), ["rbind", "ro", "rprivate"]),
        (Bind("/a", "/b", writable=False, deep=True), ["rbind", "rro", "rprivate"]),
        (Bind("/a", "/b", recursive=False), ["bind", "private"]),
        (Bind("/a", "/b", propagation="rshared"), ["rbind", "rshared"]),
    ],
)
def test_how_a_bind_is_mounted(bind: Bind, options: list[str]) -> None:
    assert by_target(mounts(HostConfig(), [bind], {}))["/b"]["options"] == options


def test_tmpfs_has_dockers_options_and_the_last_word_of_each_kind_counts() -> None:
    found = by_target(mounts(HostConfig(), [], {"/t": ["exec", "size=1m", "size=2m"]}))["/t"]
    assert sorted(found["options"]) == ["exec", "nodev", "nosuid", "rprivate", "size=2m"]


def test_an_unknown_tmpfs_option_is_refused() -> None:
    with pytest.raises(InvalidParameter, match='invalid tmpfs option "colour"'):
        merged_tmpfs_options(["colour=red"])


def test_cgroups_are_writable_when_asked_for() -> None:
    plain = by_target(mounts(HostConfig(), [], {}))["/sys/fs/cgroup"]["options"]
    assert "ro" in plain
    asked = by_target(mounts(HostConfig(), [], {}, writable_cgroups=True))["/sys/fs/cgroup"]["options"]
    assert "ro" not in asked
    refused = by_target(mounts(HostConfig(privileged=True), [], {}, writable_cgroups=False))
    assert "ro" in refused["/sys/fs/cgroup"]["options"]


def test_no_shared_memory_without_ipc() -> None:
    assert "/dev/shm" not in by_target(mounts(HostConfig(ipc_mode="none"), [], {}))


def test_a_read_only_root_makes_the_usual_mounts_read_only() -> None:
    found = by_target(mounts(HostConfig(readonly_rootfs=True), [Bind("/a", "/b")], {}))
    assert "ro" not in found["/b"]["options"]
    assert "ro" not in found["/dev/shm"]["options"]
    assert "ro" in found["/sys"]["options"]
