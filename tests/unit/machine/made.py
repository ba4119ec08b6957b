"""Images and assemblies made by hand, small, for tests of machines."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from moby.core.descriptor import DOCKER_MANIFEST, Descriptor
from moby.core.platform import host_platform
from moby.framework.assembly import Assembly, parse
from moby.machine.cache import Image, ImageCache
from moby.machine.rootfs import Parts
from moby.machine.tree import Tree

Member = tuple[str, dict[str, Any]]


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, **more: Any) -> Member:
    """An entry of a layer: `mode`, `uid`, `link`, `attributes` and so on as keywords."""
    return name, {"content": content, "kind": kind, **more}


def layer(*members: Member) -> bytes:
    """A layer as a tar archive."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, given in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = given["kind"], len(given["content"])
            info.mode = given.get("mode", 0o755 if given["kind"] == tarfile.DIRTYPE else 0o644)
            info.uid, info.gid = given.get("uid", 0), given.get("gid", 0)
            info.linkname, info.mtime = given.get("link", ""), 1234567
            info.devmajor, info.devminor = given.get("device", (0, 0))
            info.pax_headers = {
                f"SCHILY.xattr.{key}": value.decode("utf-8", "surrogateescape")
                for key, value in given.get("attributes", {}).items()
            }
            tar.addfile(info, io.BytesIO(given["content"]))
    return data.getvalue()


def archive(
    *layers: bytes, config: dict[str, Any] | None = None, name: str = "app:1", packed: bool = False
) -> bytes:
    """An image as `docker save` writes it."""
    platform = host_platform()
    document = {
        "architecture": platform.architecture,
        "os": "linux",
        "config": config if config is not None else {"Cmd": ["/app"]},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in layers],
        },
    }
    if platform.variant:
        document["variant"] = platform.variant
    files = {"config.json": json.dumps(document).encode()}
    for index, each in enumerate(layers):
        files[f"{index}/layer.tar"] = gzip.compress(each, mtime=0) if packed else each
    files["manifest.json"] = json.dumps(
        [
            {
                "Config": "config.json",
                "RepoTags": [name],
                "Layers": [f"{index}/layer.tar" for index in range(len(layers))],
            }
        ]
    ).encode()
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def kept(cache: ImageCache, folder: Path, *layers: bytes, config: dict[str, Any] | None = None) -> Image:
    """An image in the cache."""
    from moby.machine.archives import take_in

    path = folder / "image.tar"
    path.write_bytes(archive(*layers, config=config))
    target: Descriptor = take_in(cache, path)[0][1]
    assert target.media_type == DOCKER_MANIFEST
    return cache.image(target, host_platform(), "app")


def parts(text: str, folder: Path, images: dict[str, Image], cache: ImageCache) -> Parts:
    """An assembly with its images."""
    assembly: Assembly = parse(text, "a.yml")
    return Parts(assembly, images, cache, folder)


def shown(tree: Tree) -> dict[str, str]:
    """A tree as a test compares it: each path with its kind, and its content or target."""
    return {
        path: node.target
        if node.kind == "symlink"
        else node.kind
        if node.kind != "file"
        else node.read().decode()
        for path, node in tree.sorted()
    }
