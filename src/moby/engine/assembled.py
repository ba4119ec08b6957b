"""This file is about an assembly as a running engine: its components, wired and started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from moby.core.config import ConfigSource
from moby.core.images import ImageStore
from moby.core.plugins import Plugins
from moby.core.runtime import Runtime
from moby.core.store import Store
from moby.engine.components import Components
from moby.engine.config import EngineConfig
from moby.engine.identity import engine_id
from moby.engine.parts import ContainerdChild, snapshotter
from moby.engine.programs import Edition
from moby.engine.runtimes import default_runtime, oci_runtimes, stock_shims
from moby.engine.system import Inventory
from moby.engine.wiring import Engine, engine
from moby.framework.assembly import Assembly
from moby.framework.wiring import Wiring
from moby.host.cgroups import cgroup_facts
from moby.host.containerd.client import Containerd
from moby.host.containerd.introspection import check_snapshotter
from moby.host.containerd.leases import ContainerdLeases
from moby.monitor.client import Monitors
from moby.networks.controller import Controller


@asynccontextmanager
async def assembled(
    config: ConfigSource[EngineConfig], assembly: Assembly, monitors: Monitors
) -> AsyncIterator[Engine]:
    """The engine that an assembly says, running while the block does."""
    current = config.current
    async with Wiring(assembly, {EngineConfig: current}) as wired:
        client = await wired.need(Containerd)
        child = await wired.need(ContainerdChild)
        await client.ensure_namespace()
        await ContainerdLeases(client).drop_stale()
        await check_snapshotter(client, snapshotter(current))
        parts = Components(
            config=config,
            store=await wired.need(Store),
            images=await wired.need(ImageStore),
            runtime=await wired.need(Runtime),
            networks=await wired.need(Controller),
            volumes=wired.all("volumes"),
            logs=wired.all("logs"),
            monitors=monitors,
            plugins=await wired.need(Plugins),
            inventory=await _inventory(wired, current, client),
        )
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(child.managed.keep()) if child.managed is not None else None
            try:
                async with engine(parts) as running:
                    yield running
                    if not config.current.live_restore:
                        running.restarts.stopping = True
                        await running.stopper.end_all()
            finally:
                if keeper is not None:
                    keeper.cancel()


async def _inventory(wired: Wiring, config: EngineConfig, client: Containerd) -> Inventory:
    shims = oci_runtimes(config)
    version, revision = await client.version()
    facts = cgroup_facts()
    warnings = []
    if facts.hybrid and "crun" in shims:
        left = ", ".join(sorted(facts.unclaimed))
        warnings.append(f"WARNING: crun is not used: cgroup controllers are left on version 2 ({left})")
    return Inventory(
        id=await engine_id(await wired.need(Store)),
        snapshotter=snapshotter(config),
        volumes=list(wired.all("volumes")),
        networks=[driver.name for driver in wired.all("networks").values()],
        logs=list(wired.all("logs")),
        runtimes={**stock_shims(), **{name: shim.binary or shim.name for name, shim in shims.items()}},
        default_runtime=default_runtime(config, shims),
        cgroups=facts,
        containerd=client.address,
        containerd_edition=Edition("containerd", version, revision or version),
        warnings=warnings,
    )
