"""This file is about an engine's services as what the API serves: the one place that knows both."""

from __future__ import annotations

from moby.api.backends import Backends
from moby.engine.wiring import Engine


def backends(engine: Engine) -> Backends:
    """Each service under the name that its routes have for it."""
    return Backends(
        containers=engine.containers,
        container_streams=engine.container_streams,
        container_changes=engine.container_changes,
        checkpoints=engine.checkpoints,
        stats=engine.stats,
        execs=engine.execs,
        archives=engine.archives,
        commits=engine.commits,
        images=engine.images,
        transfers=engine.transfers,
        networks=engine.networks,
        volumes=engine.volumes,
        volume_transfers=engine.volume_transfers,
        build_cache=engine.build_cache,
        system=engine.system,
    )
