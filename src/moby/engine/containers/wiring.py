"""This file is about everything that containers need, made and connected; it alone names all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import msgspec

from moby.engine.components import Components
from moby.engine.containers.archive import Archiver
from moby.engine.containers.attach import Attacher
from moby.engine.containers.binds import Binder
from moby.engine.containers.boot import Boot
from moby.engine.containers.change import Changer
from moby.engine.containers.checkpoints import Checkpoints
from moby.engine.containers.commit import CommitService, Images
from moby.engine.containers.create import Creator
from moby.engine.containers.deletions import Deletions
from moby.engine.containers.exits import Exits
from moby.engine.containers.forgotten import Forgotten
from moby.engine.containers.history import History
from moby.engine.containers.inspect import Inspector
from moby.engine.containers.launch import Launcher
from moby.engine.containers.listing import Lister
from moby.engine.containers.logs import LogDrivers, LogService
from moby.engine.containers.places import Places
from moby.engine.containers.plugin_logs import PluginLogs
from moby.engine.containers.reconcile import Reconciler
from moby.engine.containers.remove import Remover
from moby.engine.containers.republish import Republisher
from moby.engine.containers.restarts import Restarts
from moby.engine.containers.roots import Roots
from moby.engine.containers.service import ContainerChanges, Containers, ContainerStreams, Verbs
from moby.engine.containers.shelf import Shelf
from moby.engine.containers.start import Starter
from moby.engine.containers.stats import Stats
from moby.engine.containers.stop import Stopper
from moby.engine.containers.top import Top
from moby.engine.containers.tree import Trees
from moby.engine.containers.unhealthy import UnhealthyRestarts
from moby.engine.containers.update import Updater
from moby.engine.containers.volumes import MountPlanner
from moby.engine.execs.ends import ExecEnds
from moby.engine.execs.health import HealthChecks
from moby.engine.execs.probe import Probes
from moby.engine.execs.record import ExecShelf
from moby.engine.execs.service import Execs
from moby.engine.images.runnable import RunnableImages
from moby.engine.userns import containers_directory
from moby.host.cgroups import Moves
from moby.volumes.service import Volumes

Loop = Callable[[asyncio.TaskGroup], Coroutine[Any, Any, None]]


class ContainerServices(msgspec.Struct, frozen=True):
    """What the engine serves of containers; each of `loops` runs as long as the engine does."""

    containers: Containers
    streams: ContainerStreams
    changes: ContainerChanges
    checkpoints: Checkpoints
    stats: Stats
    execs: Execs
    archives: Archiver
    commits: CommitService
    lister: Lister
    stopper: Stopper
    restarts: Restarts
    reconciler: Reconciler
    deletions: Deletions
    loops: Sequence[Loop]


def container_services(
    parts: Components, shelf: Shelf, volumes: Volumes, runnable: RunnableImages, commits: Images
) -> ContainerServices:
    """The services; nothing runs yet."""
    config, runtime, networks = parts.config, parts.runtime, parts.networks
    snapshotter, monitors = parts.images.snapshotter, parts.monitors
    directory = containers_directory(config.current)
    run = Path(config.current.exec_root, "containers")
    plugged = PluginLogs(parts.plugins, Path(config.current.exec_root, "logging"))
    drivers = LogDrivers(parts.logs, directory, plugged)
    drivers.check_usual(config.current)
    places, roots = Places(Path(config.current.exec_root, "places")), Roots(parts.images, config)
    planner = MountPlanner(shelf.index, volumes, snapshotter, runnable, roots)
    execs, trees = ExecShelf(shelf.index, run), Trees(parts.images, volumes, roots, directory)
    exec_ends = ExecEnds(shelf, execs, runtime)
    exits = Exits(shelf, runtime, networks, volumes, exec_ends, places, config, drivers)
    stopper = Stopper(shelf, runtime, config)
    inspector = Inspector(shelf, snapshotter, directory, execs, config)
    history = History(parts.store, inspector)
    remover = Remover(shelf, stopper, exits, planner, snapshotter, directory, history)
    changer, logs = Changer(shelf, runtime, networks), LogService(shelf, drivers)
    binder, moves = Binder(volumes, snapshotter, places, roots), Moves()
    launcher = Launcher(shelf.index, binder, places, networks, config, directory, run, moves)
    lister = Lister(shelf, runnable, snapshotter)
    starter = Starter(shelf, runtime, networks, snapshotter, monitors, launcher, drivers, remover.auto_remove)
    verbs = Verbs(
        creator=Creator(shelf, runnable, planner, networks, roots, drivers, config, directory),
        starter=starter,
        checkpoints=Checkpoints(shelf, runtime, config, directory),
        stopper=stopper,
        remover=remover,
        changer=changer,
        inspector=inspector,
        lister=lister,
        history=history,
    )
    reconciler = Reconciler(shelf, runtime, networks, monitors, exits, exec_ends, remover, volumes)
    forgotten = Forgotten(shelf.index, snapshotter)
    restarts = Restarts(shelf, starter, remover)
    exits.starts_again = restarts.starts_again
    updater = Updater(shelf, runtime, Republisher(networks), drivers)
    services = Execs(shelf, execs, runtime, monitors, config, moves)
    health = HealthChecks(shelf, Probes(services))
    stats, containers = Stats(shelf), Containers(verbs)
    unhealthy = UnhealthyRestarts(shelf, containers.restart)
    return ContainerServices(
        containers=containers,
        changes=ContainerChanges(Top(shelf, runtime), updater),
        checkpoints=verbs.checkpoints,
        stats=stats,
        streams=ContainerStreams(shelf, logs, Attacher(shelf, logs), changer),
        execs=services,
        archives=Archiver(shelf, trees, roots),
        commits=CommitService(shelf, trees, roots, changer, commits),
        lister=lister,
        stopper=stopper,
        restarts=restarts,
        reconciler=reconciler,
        deletions=exits.deletions,
        loops=[
            lambda group: exits.watch(group, reconciler.resynchronise, restarts.after_exit),
            lambda group: exits.hear(group, monitors.ends, restarts.after_exit),
            lambda _: Boot(shelf, starter, restarts).at_start(),
            lambda _: forgotten.free(),
            lambda _: exec_ends.tidy(),
            lambda _: exits.deletions.run(),
            lambda _: health.run(),
            lambda _: unhealthy.run(),
            lambda _: stats.run(),
            lambda _: history.expire(),
        ],
    )
