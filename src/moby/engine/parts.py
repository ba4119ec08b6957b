"""This file is about how the engine's settings reach its components: one factory for each that needs some."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from moby.core.networks import NetworkDriver
from moby.core.plugins import Plugins
from moby.core.store import Store
from moby.engine.config import EngineConfig
from moby.engine.containerd_child import own_containerd
from moby.engine.runtimes import check_runtimes, default_runtime, oci_runtimes, own_shim
from moby.engine.userns import id_map
from moby.host.containerd.client import Containerd
from moby.host.containerd.managed import ManagedContainerd
from moby.host.nftables import Nftables
from moby.host.store import SqliteStore
from moby.host.threads import Threads
from moby.images.stores.containerd import ContainerdImages
from moby.networks.controller import Controller
from moby.networks.drivers.bridge import Bridge
from moby.networks.ipam import Ipam, host_seed, parse_pools
from moby.networks.ipam.addressing import Addressing
from moby.networks.ipam.occupied import occupied
from moby.networks.lookup import DriverLookup
from moby.networks.ports import Ports
from moby.networks.settings import BridgeSettings
from moby.plugins.discovery import Discovery
from moby.plugins.host import LegacyPlugins
from moby.runtime.containerd import ContainerdRuntime
from moby.volumes.drivers.local import Local

LOCKS = Path("/run/moby")
_SNAPSHOTTERS = {"": "overlayfs", "overlay2": "overlayfs"}


class ContainerdChild:
    """Our own containerd, or none if the settings name another's address."""

    def __init__(self, config: EngineConfig) -> None:
        own = own_containerd(config)
        self.managed = ManagedContainerd(own) if own is not None else None
        self._address = config.containerd

    @property
    def address(self) -> str:
        """Where it listens."""
        return self.managed.address if self.managed is not None else self._address

    async def __aenter__(self) -> Self:
        if self.managed is not None:
            await self.managed.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.managed is not None:
            await self.managed.__aexit__(kind, error, trace)


def sqlite_store(config: EngineConfig) -> SqliteStore:
    """The state of the engine, in one file."""
    return SqliteStore(Path(config.data_root, "moby.db"))


def containerd_client(child: ContainerdChild, config: EngineConfig) -> Containerd:
    """The connection to containerd."""
    return Containerd(child.address, config.containerd_namespace)


def containerd_images(child: ContainerdChild, client: Containerd, config: EngineConfig) -> ContainerdImages:
    """Images in containerd."""
    root = child.managed.root if child.managed is not None else None
    return ContainerdImages(client, snapshotter(config), root)


def snapshotter(config: EngineConfig) -> str:
    """The snapshotter that a storage driver's name means."""
    return _SNAPSHOTTERS.get(config.storage_driver, config.storage_driver)


def containerd_runtime(client: Containerd, config: EngineConfig) -> ContainerdRuntime:
    """Tasks in containerd. Raises InvalidParameter for a default runtime that is not there."""
    check_runtimes(config)
    shims, own = oci_runtimes(config), own_shim(config)
    if own is not None:
        own.install()
    default = default_runtime(config, shims)
    return ContainerdRuntime(client, shims, default, snapshotter=snapshotter(config), own=own)


def nftables() -> Nftables:
    """The packet filter."""
    return Nftables()


def ports() -> Ports:
    """The host's ports."""
    return Ports()


def ipam(config: EngineConfig) -> Ipam:
    """Addresses that nobody else on this host uses. Raises InvalidParameter for pools that are none."""
    threads = Threads("ipam", 1)
    pools = parse_pools([(str(pool.get("base")), pool.get("size")) for pool in config.default_address_pools])
    return Ipam(lambda: threads.run(occupied), pools, host_seed(config.data_root))


def bridge(config: EngineConfig, addresses: Ipam, host_ports: Ports, filters: Nftables) -> Bridge:
    """The bridge driver, with dockerd's settings for the default bridge."""
    settings = BridgeSettings(
        bridge=config.bridge,
        bip=config.bip,
        fixed_cidr=config.fixed_cidr,
        default_gateway=config.default_gateway,
        mtu=config.mtu,
        icc=config.icc,
        ip_forward=config.ip_forward,
        ip_masq=config.ip_masq and config.iptables,
        firewall=config.iptables,
        ip=config.ip,
        ipv6=config.ipv6,
        bip6=config.bip6,
        fixed_cidr_v6=config.fixed_cidr_v6,
        default_gateway_v6=config.default_gateway_v6,
        firewall6=config.iptables and config.ip6tables,
        ip_forward_no_drop=config.ip_forward_no_drop,
        direct_routing=config.allow_direct_routing,
        proxy=config.userland_proxy,
        accepted_mark=config.bridge_accept_fwmark,
        through_host=config.firewall_backend == "iptables",
    )
    return Bridge(settings, addresses, host_ports, filters, LOCKS)


def network_controller(
    store: Store,
    drivers: Mapping[str, NetworkDriver],
    addresses: Ipam,
    plugins: Plugins,
    config: EngineConfig,
) -> Controller:
    """Networks and sandboxes; by the driver's own name, which for `none` is `null`."""
    by_driver = {driver.name: driver for driver in drivers.values()}
    return Controller(
        store,
        DriverLookup(by_driver, plugins),
        Addressing(addresses, plugins),
        Path(config.exec_root, "netns"),
    )


def legacy_plugins(config: EngineConfig) -> LegacyPlugins:
    """Plugins by their sockets, and by files that say where they are."""
    discovery = Discovery(Path(config.plugin_sockets), [Path(path) for path in config.plugin_specs])
    return LegacyPlugins(discovery, config.plugin_wait)


def local_volumes(config: EngineConfig) -> Local:
    """Volumes below the data root, owned by whoever is root in containers."""
    return Local(Path(config.data_root, "volumes"), id_map(config).root)
