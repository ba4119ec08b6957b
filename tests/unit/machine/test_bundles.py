"""Containers in a machine's root: what LinuxKit's init reads, and the same as scripts for ours."""

from __future__ import annotations

import json
import subprocess

import msgspec
import pytest

from moby.core.errors import InvalidParameter
from moby.framework.machine import ContainerConfig, Runtime, Volume
from moby.machine.bundles import Bundles, effective_runtime, prepare_script, volume_mounts
from moby.machine.tree import Node, Tree


def runtime(said: dict[str, object], label: dict[str, object] | None = None) -> Runtime:
    mine = msgspec.convert({"runtime": said}, ContainerConfig)
    return effective_runtime(mine, msgspec.convert({"runtime": label} if label else {}, ContainerConfig))


def bundle(said: dict[str, object] | None = None, *, readonly: bool = False) -> Tree:
    tree, root = Tree(), Tree()
    root.put("app", Node(content=b"x"))
    Bundles(tree).add(
        "containers/services/a", "sha256:1", root, {"root": {"readonly": readonly}}, runtime(said or {})
    )
    return tree


def text(tree: Tree, path: str) -> str:
    node = tree.get(path)
    assert node is not None
    return node.read().decode()


def valid(script: str) -> None:
    subprocess.run(["sh", "-n"], input=script.encode(), check=True)


def test_a_writable_root_is_a_layer_in_memory() -> None:
    tree = bundle()
    assert "containers/services/a/lower/app" in tree
    mounts = json.loads(text(tree, "containers/services/a/runtime.json"))["mounts"]
    assert [mount.get("type", "") for mount in mounts] == ["tmpfs", "", "overlay"]
    prepare = text(tree, "containers/services/a/prepare")
    valid(prepare)
    assert (
        "mount -t overlay -o lowerdir=/containers/services/a/lower,upperdir=/containers/services/a/tmp/upper,"
        in prepare
    )
    assert "mkdir -p /containers/services/a/tmp/upper /containers/services/a/tmp/work" in prepare
    assert "containers/services/a/created" not in tree


def test_a_read_only_root_is_bound_to_itself() -> None:
    tree = bundle(readonly=True)
    assert "containers/services/a/rootfs/app" in tree
    assert "mount -o bind /containers/services/a/rootfs /containers/services/a/rootfs" in text(
        tree, "containers/services/a/prepare"
    )


def test_an_image_is_there_once() -> None:
    tree, root = Tree(), Tree()
    root.put("app", Node(content=b"x"))
    bundles = Bundles(tree)
    for name, readonly in (("a", False), ("b", True), ("c", False)):
        bundles.add(f"services/{name}", "sha256:1", root, {"root": {"readonly": readonly}}, Runtime())
    assert [path for path, _node in tree.sorted() if path.endswith("/app")] == ["services/a/lower/app"]
    assert "mount -o bind /services/a/lower /services/b/rootfs" in text(tree, "services/b/prepare")
    assert "lowerdir=/services/a/lower," in text(tree, "services/c/prepare")


def test_what_happens_around_a_start() -> None:
    tree = bundle({
        "mkdir": ["/var/my dir"], "cgroups": ["own"], "bindNS": {"net": "/run/netns/wg", "user": "/run/u"},
        "mounts": [{"type": "bind", "source": "/a", "destination": "/b", "options": ["rw", "rshared"]}],
        "interfaces": [
            {"name": "wg0", "add": "wireguard", "createInRoot": True}, {"name": "v0", "peer": "v1"}, {"name": "eth1"},
            {"name": "d0", "add": "dummy"},
        ],
    })  # fmt: skip
    prepare, created = (text(tree, f"containers/services/a/{name}") for name in ("prepare", "created"))
    valid(prepare)
    valid(created)
    for line in (
        "mkdir -p '/var/my dir'", "mkdir -p /sys/fs/cgroup/own", "mount -o bind,rw /a /b", "mount --make-rshared /b",
        "ip link add wg0 type wireguard", "ip link add v0 type veth peer name v1",
    ):  # fmt: skip
        assert f"{line}\n" in prepare
    for line in (
        'ip link set wg0 netns "$1"', 'ip link set v0 netns "$1"', 'ip link set eth1 netns "$1"',
        'nsenter -t "$1" -n ip link add d0 type dummy', 'mount --bind "/proc/$1/ns/net" /run/netns/wg',
        'mount --bind "/proc/$1/ns/user" /run/u',
    ):  # fmt: skip
        assert f"{line}\n" in created


def test_paths_without_a_slash_are_in_the_container_and_directories_may_be_on_what_is_mounted() -> None:
    mount = {"type": "tmpfs", "source": "tmpfs", "destination": "scratch"}
    prepare = text(bundle({"mkdir": ["scratch/own"], "mounts": [mount]}), "containers/services/a/prepare")
    root = prepare.index("/containers/services/a/rootfs\n")
    mounted = prepare.index("mount -t tmpfs tmpfs rootfs/scratch\n")
    assert root < mounted < prepare.index("mkdir -p rootfs/scratch/own\n")


def test_the_assembly_counts_before_the_label_key_by_key() -> None:
    label: dict[str, object] = {"mkdir": ["/l"], "cgroups": ["l"], "bindNS": {"net": "/l", "ipc": "/l"}}
    found = runtime({"mkdir": ["/s"], "bindNS": {"net": "/s"}}, label)
    assert (found.mkdir, found.cgroups) == (["/s"], ["l"])
    assert (found.bind_ns.net, found.bind_ns.ipc) == ("/s", "/l")


@pytest.mark.parametrize("interface", [{"add": "dummy"}, {"name": "a", "add": "dummy", "peer": "b"}])
def test_interfaces_that_cannot_be(interface: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter):
        runtime({"interfaces": [interface]})


def test_volumes() -> None:
    fixed = prepare_script(volume_mounts(Volume("v", readonly=True))).decode()
    assert "mount -o bind /containers/volumes/v/lower /containers/volumes/v/merged" in fixed
    written = prepare_script(volume_mounts(Volume("v"))).decode()
    assert "mount -t overlay -o lowerdir=/containers/volumes/v/lower," in written
    valid(fixed)
    valid(written)


def test_what_is_mounted_upon_is_there_on_a_read_only_disk_too() -> None:
    tree, root = Tree(), Tree()
    tree.put("etc/resolv.conf", Node())
    root.put("var", Node("symlink", target="/elsewhere"))
    mounts = [
        {"destination": "/run/deep", "type": "bind", "source": "/run/deep"}, {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/etc/resolv.conf", "type": "bind", "source": "/etc/resolv.conf"},
        {"destination": "/var/x", "type": "tmpfs", "source": "tmpfs"}, {"destination": "/", "type": "bind", "source": "/"},
    ]  # fmt: skip
    Bundles(tree).add("s/a", "sha256:1", root, {"root": {"readonly": True}, "mounts": mounts}, Runtime())
    made, file = tree.get("s/a/rootfs/run/deep"), tree.get("s/a/rootfs/etc/resolv.conf")
    assert made is not None
    assert file is not None
    assert (made.kind, file.kind) == ("directory", "file")
    assert "s/a/rootfs/proc" not in tree
    assert "elsewhere" not in tree


def test_what_comes_later_may_be_a_file_of_the_assembly() -> None:
    mounts = [{"destination": "/etc/conf", "type": "bind", "source": "/etc/own.conf"}]
    for readonly, place in ((True, "s/a/rootfs/etc/conf"), (False, "s/a/lower/etc/conf")):
        tree = Tree()
        spec = {"root": {"readonly": readonly}, "mounts": mounts}
        Bundles(tree, {"etc/own.conf"}).add("s/a", "sha256:1", Tree(), spec, Runtime())
        made = tree.get(place)
        assert made is not None
        assert made.kind == "file"


def test_what_comes_later_may_be_a_socket() -> None:
    path = "/run/containerd/containerd.sock"
    mounts = [{"destination": path, "type": "bind", "source": path}]
    tree = Tree()
    bundles = Bundles(tree)
    bundles.add("s/a", "sha256:1", Tree(), {"root": {"readonly": False}, "mounts": mounts}, Runtime())
    bundles.add("s/b", "sha256:2", Tree(), {"root": {"readonly": True}, "mounts": mounts}, Runtime())
    # The runtime makes the first, of what it finds.
    assert f"s/a/lower{path}" not in tree
    made = tree.get(f"s/b/rootfs{path}")
    assert made is not None
    assert made.kind == "file"
