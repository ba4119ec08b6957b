"""The machine's root: what is in it, where, and that it is the same each time."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from moby.core.errors import MobyError
from moby.machine.cache import Image, ImageCache
from moby.machine.rootfs import metadata, root_tree
from moby.machine.streams import tar_stream
from moby.machine.tree import Tree
from tests.unit.machine.made import kept, layer, member, parts

KERNEL = layer(
    member("kernel", b"bzImage"),
    member("ucode.cpio", b"ucode"),
    member("kernel.tar", layer(member("lib/modules/6/a.ko", b"ko"))),
)


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    return ImageCache(tmp_path / "cache")


@pytest.fixture
def images(cache: ImageCache, tmp_path: Path) -> dict[str, Image]:
    label = {"org.mobyproject.config": json.dumps({"capabilities": ["CAP_KILL"], "readonly": True})}
    return {
        "kernel": kept(cache, tmp_path, KERNEL),
        "init": kept(
            cache,
            tmp_path,
            layer(member("init", b"#!"), member("etc/resolv.conf", b"x"), member(".dockerenv")),
        ),
        "more": kept(cache, tmp_path, layer(member("bin/runc", b"runc", mode=0o755))),
        "app": kept(cache, tmp_path, layer(member("app", b"app")), config={"Cmd": ["/app"], "Labels": label}),
    }


def built(text: str, folder: Path, images: dict[str, Image], cache: ImageCache) -> Tree:
    return root_tree(parts(text, folder, images, cache))


def text(tree: Tree, path: str) -> str:
    node = tree.get(path)
    assert node is not None, path
    return node.read().decode()


def test_everything_has_its_place(tmp_path: Path, images: dict[str, Image], cache: ImageCache) -> None:
    (tmp_path / "own").write_text("from here")
    tree = built(
        "kernel: {image: kernel, cmdline: console=ttyS0, ucode: ucode.cpio}\n"
        "init: [init, more]\n"
        "onboot: [{name: first, image: app}, {name: second, image: app, command: [/x]}]\n"
        "onshutdown: [{name: last, image: app}]\n"
        "services: [{name: web, image: app, readonly: false, uid: web, binds: ['data:/data']}]\n"
        "volumes: [{name: data, image: app}, {name: empty, readonly: true}, {name: as, image: app, format: oci}]\n"
        "files:\n"
        " - {path: etc/a/b, contents: hello, mode: '0640', uid: web, gid: 7}\n"
        " - {path: etc/own, source: own}\n - {path: etc/gone, source: gone, optional: true}\n"
        " - {path: etc/link, symlink: a/b}\n - {path: srv, directory: true}\n - {path: etc/m.json, metadata: json}\n",
        tmp_path, images, cache,
    )  # fmt: skip
    assert (text(tree, "boot/kernel"), text(tree, "boot/cmdline")) == ("bzImage", "console=ttyS0")
    assert text(tree, "boot/ucode.cpio") == "ucode"
    assert text(tree, "lib/modules/6/a.ko") == "ko"
    assert text(tree, "bin/runc") == "runc"
    assert ".dockerenv" not in tree
    resolv = tree.get("etc/resolv.conf")
    assert resolv is not None
    assert resolv.target == "/run/resolvconf/resolv.conf"
    spec = json.loads(text(tree, "containers/onboot/001-second/config.json"))
    assert spec["process"]["args"] == ["/x"]
    assert spec["process"]["capabilities"]["bounding"] == ["CAP_KILL"]
    assert spec["root"]["readonly"] is True
    assert "containers/onboot/000-first/rootfs/app" in tree
    assert "containers/onshutdown/000-last/config.json" in tree
    spec = json.loads(text(tree, "containers/services/web/config.json"))
    assert spec["process"]["user"]["uid"] == 103
    assert "/containers/volumes/data/merged" in [mount["source"] for mount in spec["mounts"]]
    assert text(tree, "containers/volumes/data/lower/app") == "app"
    assert "containers/volumes/empty/lower" in tree
    assert "containers/volumes/as/lower/index.json" in tree
    own, made = tree.get("etc/a/b"), tree.get("etc/a")
    assert own is not None
    assert made is not None
    assert (own.mode, own.uid, own.gid, made.mode, made.kind) == (0o640, 103, 7, 0o750, "directory")
    assert text(tree, "etc/own") == "from here"
    assert "etc/gone" not in tree
    assert json.loads(text(tree, "etc/m.json"))["init"][0].startswith("init@sha256:")


def test_the_same_machine_comes_out_each_time(
    tmp_path: Path, images: dict[str, Image], cache: ImageCache
) -> None:
    assembly = (
        "kernel: {image: kernel}\ninit: [init]\nservices: [{name: a, image: app}, {name: b, image: app}]\n"
    )
    first, second = (b"".join(tar_stream(built(assembly, tmp_path, images, cache))) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("assembly", "said"), [
    ("kernel: {image: app}", "a.yml:1: kernel.binary: there is no 'kernel' in the image"),
    ("kernel: {image: kernel, tar: none, ucode: x}", "a.yml:1: kernel.ucode: there is no 'x' in the image"),
    ("kernel: {image: kernel, tar: x.tar}", "a.yml:1: kernel.tar: there is no 'x.tar' in the image"),
    ("files:\n - {path: a, source: gone}", "a.yml:2: files[0]: "),
    ("files:\n - {path: a, contents: x, uid: nobody}", "a.yml:2: files[0].uid: cannot find id: nobody"),
    ("init: [more]\nfiles:\n - {path: bin/runc/x, contents: x}", "a.yml:3: files[0]: /bin/runc is no directory"),
    ("services:\n - {name: a, image: more}", "a.yml:2: services[0].capabilities: unknown capability: CAP_X"),
])  # fmt: skip
def test_what_goes_wrong_is_told_with_its_place(
    assembly: str, said: str, tmp_path: Path, images: dict[str, Image], cache: ImageCache
) -> None:
    label: dict[str, Any] = {"org.mobyproject.config": '{"capabilities": ["CAP_X"]}'}
    if "services" in assembly:
        images["more"] = kept(cache, tmp_path, layer(member("app")), config={"Cmd": ["a"], "Labels": label})
    with pytest.raises(MobyError) as error:
        built(assembly, tmp_path, images, cache)
    assert error.value.message.startswith(said)


def test_metadata_is_an_assembly_of_pinned_images(
    tmp_path: Path, images: dict[str, Image], cache: ImageCache
) -> None:
    made = parts(
        "init: [init]\nservices: [{name: a, image: app, binds.add: [/a:/b]}]\n", tmp_path, images, cache
    )
    found = yaml.safe_load(metadata(made, "yaml"))
    assert found["services"] == [
        {"name": "a", "image": f"app@{images['app'].target.digest}", "binds.add": ["/a:/b"]}
    ]
    assert list(found) == ["init", "services"]


def test_devices_need_no_rights(tmp_path: Path, cache: ImageCache) -> None:
    image = kept(cache, tmp_path, layer(member("dev/x", kind=tarfile.CHRTYPE, device=(1, 5))))
    node = built("init: [i]", tmp_path, {"i": image}, cache).get("dev/x")
    assert node is not None
    assert node.device == (1, 5)
