"""A real registry and a real containerd, each with a directory of its own."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import io
import json
import os
import socket
import ssl
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from moby.host.containerd.client import Containerd
from moby.images.stores.containerd import ContainerdImages


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def start_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Starts a registry; keyword arguments go into its configuration. Gives its address."""
    children = []

    def start(scheme: str = "http", http: str = "", rest: str = "") -> str:
        directory = tmp_path_factory.mktemp("registry")
        address = f"127.0.0.1:{free_port()}"
        config = directory / "config.yml"
        config.write_text(
            f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {directory}/data}}, "
            f"delete: {{enabled: true}}}}\nhttp:\n  addr: {address}\n{http}\n{rest}\n"
        )
        with (directory / "log").open("w") as log:
            command = ["docker-registry", "serve", str(config)]
            children.append(subprocess.Popen(command, stdout=log, stderr=log))
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(address[10:])), 1):
                return address
            time.sleep(0.05)
        raise AssertionError((directory / "log").read_text())

    yield start
    for child in children:
        child.terminate()
        child.wait(10)


@pytest.fixture(scope="session")
def containerd_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A containerd of our own."""
    directory = tmp_path_factory.mktemp("containerd")
    config = directory / "config.toml"
    config.write_text(
        f'version = 2\nroot = "{directory}/root"\nstate = "{directory}/state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", '
        '"io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]\n'
        f'[grpc]\n  address = "{directory}/sock"\n[ttrpc]\n  address = "{directory}/ttrpc"\n'
    )
    with (directory / "log").open("w") as log:
        child = subprocess.Popen(["containerd", "--config", str(config)], stdout=log, stderr=log)
    deadline = time.monotonic() + 20
    while not (directory / "sock").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    yield f"{directory}/sock"
    child.terminate()
    child.wait(20)


@pytest.fixture
async def store(request: pytest.FixtureRequest, containerd_address: str) -> AsyncIterator[ContainerdImages]:
    """An empty image store in our own containerd, or (`sent` as the parameter) in one somewhere else."""
    root = None if getattr(request, "param", "") == "sent" else Path(containerd_address).parent / "root"
    async with Containerd(containerd_address, f"test-{os.urandom(6).hex()}") as client:
        await client.ensure_namespace()
        store = ContainerdImages(client, root=root)
        yield store
        for image in await store.list():
            await store.delete(image.name, sync=True)
        await asyncio.sleep(0)


def tar_of(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Made:
    """An image by hand: its manifest, and all of its blobs by digest."""

    def __init__(
        self, *layers: dict[str, bytes], architecture: str = "amd64", labels: dict[str, str] | None = None
    ):
        tars = [tar_of(layer) for layer in layers]
        packed = [gzip.compress(tar, mtime=0) for tar in tars]
        self.config = json.dumps(
            {
                "architecture": architecture,
                "os": "linux",
                "created": "2024-01-02T03:04:05Z",
                "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"], "Labels": labels or {}},
                "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in tars]},
                "history": [{"created_by": f"layer {i}"} for i in range(len(tars))],
            }
        ).encode()
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": digest(self.config),
                    "size": len(self.config),
                },
                "layers": [
                    {
                        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                        "digest": digest(blob),
                        "size": len(blob),
                    }
                    for blob in packed
                ],
            }
        ).encode()
        self.layers = packed
        self.digest = digest(self.manifest)
        self.blobs = {digest(blob): blob for blob in [self.config, *packed]}


def upload(
    base: str, repository: str, tag: str, image: Made, context: ssl.SSLContext | None = None, auth: str = ""
) -> None:
    """Push by hand, without the code under test."""

    def send(method: str, url: str, data: bytes | None = None, kind: str = "application/octet-stream") -> str:
        request = urllib.request.Request(url, data, {"Content-Type": kind}, method=method)
        if auth:
            request.add_header("Authorization", auth)
        with urllib.request.urlopen(request, context=context) as answer:
            return str(answer.headers.get("Location", ""))

    for name, blob in image.blobs.items():
        location = send("POST", f"{base}/v2/{repository}/blobs/uploads/", b"")
        send("PUT", f"{location}{'&' if '?' in location else '?'}digest={name}", blob)
    kind = "application/vnd.oci.image.manifest.v1+json"
    send("PUT", f"{base}/v2/{repository}/manifests/{tag}", image.manifest, kind)
