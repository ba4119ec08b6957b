"""This file is about an engine made of constants: enough for every route to have something to answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence

import msgspec

from moby.api.backends import Backends
from moby.core.descriptor import OCI_INDEX, Descriptor
from moby.core.errors import NotFound, no_such
from moby.core.events import Actor, Event
from moby.core.filters import Filters
from moby.core.types.builds import BuildPruneResponse
from moby.core.types.containers import (
    ContainerConfig,
    ContainerCreateRequest,
    ContainerCreateResponse,
    ContainerInspectResponse,
    ContainerPruneResponse,
    ContainerState,
    ContainerSummary,
    ContainerSummaryNetworkSettings,
    ContainerTopResponse,
    ContainerUpdateRequest,
    ContainerUpdateResponse,
    ContainerWaitResponse,
    EndpointSettings,
    HostConfig,
    MountPoint,
    NetworkSettings,
    PortBinding,
    PortSummary,
    RemovedContainer,
    RootFSStorage,
    RootFSStorageSnapshot,
    Storage,
)
from moby.core.types.images import (
    ImageSummary,
)
from moby.core.types.registries import RegistryConfig
from moby.core.types.requests import AttachRequest, ListRequest, LogsRequest, Takeover
from moby.core.types.system import (
    ContainerUsage,
    DiskUsage,
    FirewallInfo,
    ImageUsage,
    Info,
    RuntimeInfo,
    Version,
    VolumesUsage,
)
from moby.core.types.volumes import (
    Volume,
    VolumeCopyRequest,
    VolumeCreateRequest,
    VolumeListResponse,
    VolumePruneResponse,
    VolumeUsage,
)
from tests.contract.fake_archives import FakeArchives
from tests.contract.fake_checkpoints import FakeCheckpoints
from tests.contract.fake_execs import FakeExecs
from tests.contract.fake_images import FakeImages, FakeTransfers
from tests.contract.fake_networks import FakeNetworks

ID = "f" * 64
DIGEST = "sha256:" + "a" * 64
NOW = "2026-01-02T03:04:05.000006Z"
INDEX = Descriptor(OCI_INDEX, DIGEST, 1234)


def _known(name: str) -> None:
    if name not in (ID, "box", "b/o/x"):
        raise no_such("container", name)


class FakeContainers:
    """One container called `box`; what is done to it is written down."""

    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []
        self.created: ContainerCreateRequest | None = None
        self.shallow_read_only = False
        self.hold = asyncio.Event()
        self.hold.set()

    async def create(
        self,
        name: str,
        request: ContainerCreateRequest,
        platform: str | None,
        *,
        shallow_read_only: bool = False,
    ) -> ContainerCreateResponse:
        self.created, self.shallow_read_only = request, shallow_read_only
        if request.image == "missing":
            raise no_such("image", "missing:latest")
        self.done.append(("create", name, platform))
        return ContainerCreateResponse(id=ID)

    async def _do(self, verb: str, name: str, *details: object) -> None:
        _known(name)
        await self.hold.wait()
        self.done.append((verb, name, *details))

    async def start(self, name: str, checkpoint: str = "", checkpoint_dir: str = "") -> None:
        await self._do("start", name, *filter(None, (checkpoint, checkpoint_dir)))

    async def stop(self, name: str, *, signal_: str = "", timeout_s: int | None = None) -> None:
        await self._do("stop", name, signal_, timeout_s)

    async def restart(self, name: str, *, signal_: str = "", timeout_s: int | None = None) -> None:
        await self._do("restart", name, signal_, timeout_s)

    async def kill(self, name: str, signal_: str = "") -> None:
        await self._do("kill", name, signal_)

    async def pause(self, name: str) -> None:
        await self._do("pause", name)

    async def unpause(self, name: str) -> None:
        await self._do("unpause", name)

    async def rename(self, name: str, new: str) -> None:
        await self._do("rename", name, new)

    async def remove(
        self, name: str, *, force: bool = False, volumes: bool = False, link: bool = False
    ) -> None:
        await self._do("remove", name, force, volumes, link)

    async def inspect(self, name: str, *, size: bool = False) -> ContainerInspectResponse:
        _known(name)
        endpoint = EndpointSettings(ip_address="172.17.0.2", ip_prefix_len=16, gateway="172.17.0.1")
        return ContainerInspectResponse(
            id=ID,
            created=NOW,
            path="true",
            state=ContainerState(status="created"),
            image=DIGEST,
            name="/box",
            driver="overlayfs",
            platform="linux",
            host_config=HostConfig(network_mode="bridge", cgroupns_mode="host"),
            storage=Storage(root_fs=RootFSStorage(snapshot=RootFSStorageSnapshot(name="overlayfs"))),
            size_rw=5 if size else None,
            size_root_fs=6 if size else None,
            mounts=[MountPoint(type="volume", name="data", source="/x", destination="/data", rw=True)],
            config=ContainerConfig(hostname="box", image="busybox", mac_address="02:42:ac:11:00:02"),
            network_settings=NetworkSettings(
                ports={"80/tcp": [PortBinding(host_ip="0.0.0.0", host_port="8080")], "90/tcp": None},
                networks={"bridge": endpoint, "mine": EndpointSettings(aliases=["web"])},
            ),
            image_manifest_descriptor=INDEX,
        )

    async def top(self, name: str, ps_args: str) -> ContainerTopResponse:
        _known(name)
        return ContainerTopResponse(titles=["PID", "CMD"], processes=[["1", "true"]])

    async def update(self, name: str, request: ContainerUpdateRequest) -> ContainerUpdateResponse:
        await self._do("update", name, request.memory)
        return ContainerUpdateResponse(warnings=[])

    async def removed(self, name: str) -> Sequence[RemovedContainer]:
        return [RemovedContainer(id=ID, name=name, removed_at="2026-01-01T00:00:00Z")]

    async def prune(self, filters: Filters) -> ContainerPruneResponse:
        filters.check({"label", "label!", "until"})
        return ContainerPruneResponse(containers_deleted=[ID], space_reclaimed=7)

    async def list(self, request: ListRequest) -> Sequence[ContainerSummary | msgspec.Raw]:
        request.filters.check({"name", "status"})
        summary = ContainerSummary(
            id=ID,
            names=["/box"],
            image="busybox",
            image_id=DIGEST,
            image_manifest_descriptor=INDEX,
            command="true",
            created=1,
            ports=[PortSummary(private_port=80, type="tcp")],
            state="running",
            status="Up 5 minutes",
            network_settings=ContainerSummaryNetworkSettings(networks={"bridge": EndpointSettings()}),
        )
        return [summary, msgspec.Raw(msgspec.json.encode(summary))]


class FakeWaiting:
    """A wait that is over when its event is set."""

    def __init__(self, over: asyncio.Event) -> None:
        self._over = over

    async def result(self) -> ContainerWaitResponse:
        await self._over.wait()
        return ContainerWaitResponse(status_code=3)


class FakeStreams:
    """Streams of the container `box`: a log of two chunks, an attachment that echoes."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.over.set()
        self.closed = asyncio.Event()
        self.tty = False
        self.attach_ends = False
        self.follow: asyncio.Event | None = None
        self.logs_request: LogsRequest | None = None
        self.attach_request: AttachRequest | None = None

    async def wait(self, name: str, condition: str) -> FakeWaiting:
        _known(name)
        return FakeWaiting(self.over)

    async def logs(self, name: str, request: LogsRequest) -> tuple[bool, AsyncIterator[bytes]]:
        _known(name)
        self.logs_request = request
        return self.tty, self._chunks()

    async def _chunks(self) -> AsyncIterator[bytes]:
        try:
            yield b"one\n"
            if self.follow is not None:
                await self.follow.wait()
            yield b"two\n"
        finally:
            self.closed.set()

    async def attach(self, name: str, request: AttachRequest, takeover: Takeover) -> None:
        _known(name)
        self.attach_request = request
        loop = asyncio.get_running_loop()
        try:
            with await takeover(not self.tty) as connection:
                while not self.attach_ends and (data := await loop.sock_recv(connection, 65536)):
                    await loop.sock_sendall(connection, data.upper())
                await loop.sock_sendall(connection, b"BYE")
        finally:
            self.closed.set()

    async def empty_log(self, name: str) -> None:
        _known(name)

    async def resize(self, name: str, *, height: int, width: int) -> None:
        _known(name)


VOLUME = Volume(name="data", driver="local", mountpoint="/x", created_at=NOW, labels={}, options=None)


class FakeVolumes:
    """One volume called `data`."""

    def __init__(self) -> None:
        self.pruned: Filters | None = None

    async def create(self, request: VolumeCreateRequest) -> Volume:
        return VOLUME

    async def inspect(self, name: str) -> Volume:
        if name != "data":
            raise NotFound(f"get {name}: no such volume")
        return VOLUME

    async def remove(self, name: str, *, force: bool = False) -> None:
        await self.inspect(name)

    async def prune(self, filters: Filters) -> VolumePruneResponse:
        self.pruned = filters
        return VolumePruneResponse(volumes_deleted=["data"], space_reclaimed=1)

    async def list(self, filters: Filters) -> VolumeListResponse:
        return VolumeListResponse(volumes=[VOLUME])

    async def clone(self, name: str, request: VolumeCopyRequest) -> Volume:
        return await self.inspect(name)

    async def rename(self, name: str, new: str) -> Volume:
        return await self.inspect(name)

    async def export(self, name: str) -> AsyncIterator[bytes]:
        await self.inspect(name)
        return self._archive()

    async def _archive(self) -> AsyncIterator[bytes]:
        yield b"tar"

    async def import_(self, name: str, archive: AsyncIterator[bytes]) -> Volume:
        assert [chunk async for chunk in archive]
        return await self.inspect(name)


class FakeSystem:
    """An engine that has seen three events."""

    def __init__(self) -> None:
        self.more: asyncio.Event | None = None
        self.closed = asyncio.Event()

    async def info(self) -> Info:
        return Info(
            id="engine",
            name="host",
            runtimes={"runc": RuntimeInfo(path="runc", status={"a": "b"})},
            registry_config=RegistryConfig(),
            firewall_backend=FirewallInfo(driver="nftables"),
            cgroup_driver="cgroupfs",
            cgroup_version="2",
        )

    async def prune(self, filters: Filters) -> BuildPruneResponse:
        return BuildPruneResponse(["cached"], 5)

    async def version(self) -> Version:
        return Version(version="1.0", arch="amd64")

    async def disk_usage(self, kinds: Collection[str], *, verbose: bool) -> DiskUsage:
        volume = Volume(name="data", driver="local", usage_data=VolumeUsage(1, 2))
        return DiskUsage(
            image_usage=ImageUsage(total_size=9, items=[ImageSummary(id=DIGEST)])
            if "image" in kinds
            else None,
            container_usage=ContainerUsage(items=[ContainerSummary(id=ID)]) if "container" in kinds else None,
            volume_usage=VolumesUsage(items=[volume]) if "volume" in kinds else None,
        )

    def events(self, *, since_ns: int | None, until_ns: int | None, filters: Filters) -> AsyncIterator[Event]:
        filters.check({"type", "event"})
        return self._events()

    async def _events(self) -> AsyncIterator[Event]:
        try:
            yield Event("image", "create", Actor("busybox", {}), 1, 1_000_000_000)
            yield Event("container", "start", Actor(ID, {"image": "busybox"}), 1, 1_000_000_001)
            if self.more is not None:
                await self.more.wait()
            yield Event("network", "connect", Actor(ID, {}), 2, 2_000_000_000)
        finally:
            self.closed.set()


class FakeEngine:
    """All of it."""

    def __init__(self) -> None:
        self.containers = FakeContainers()
        self.streams = FakeStreams()
        self.checkpoints = FakeCheckpoints()
        self.execs = FakeExecs()
        self.archives = FakeArchives()
        self.images = FakeImages()
        self.transfers = FakeTransfers()
        self.networks = FakeNetworks()
        self.volumes = FakeVolumes()
        self.system = FakeSystem()

    def backends(self) -> Backends:
        """As the API sees it."""
        return Backends(
            containers=self.containers,
            container_streams=self.streams,
            container_changes=self.containers,
            checkpoints=self.checkpoints,
            stats=self.archives,
            execs=self.execs,
            archives=self.archives,
            commits=self.archives,
            images=self.images,
            transfers=self.transfers,
            networks=self.networks,
            volumes=self.volumes,
            volume_transfers=self.volumes,
            build_cache=self.system,
            system=self.system,
        )
