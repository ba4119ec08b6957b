"""This file is about the daemon: command line, configuration, and a loop to serve in."""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moby import __version__
from moby.cli import daemon_json, flags
from moby.cli.logging import set_level, set_up
from moby.core.config import ConfigSource
from moby.core.errors import InvalidParameter, MobyError, first_error
from moby.engine.build import build
from moby.engine.config import EngineConfig, idle, keys
from moby.host.memory import few_arenas
from moby.host.scheduling import come_first, session_comes_first

log = logging.getLogger(__name__)

_USAGE, _FAILED = 2, 1


def run(arguments: list[str]) -> int:
    """The exit status of `mobyd ARGUMENTS`."""
    try:
        line = flags.parse(arguments)
    except InvalidParameter as error:
        print(f"{error.message}\nSee 'mobyd --help'.", file=sys.stderr)
        return _USAGE
    if line.help:
        print(flags.usage())
        return 0
    if line.version:
        print(f"Docker version {__version__}, build {build().commit or 'moby-origin'}")
        return 0
    try:
        config = daemon_json.merge(daemon_json.load(line.config_file), line.settings)
        if line.validate:
            print("configuration OK")
            return 0
        return _serve(config, line)
    except MobyError as error:
        hint = f" ({error.hint})" if error.hint else ""
        what = "" if error.message.startswith("failed to ") else "failed to start daemon: "
        print(f"{what}{error.message}{hint}", file=sys.stderr)
        return _FAILED


def _serve(config: EngineConfig, line: flags.CommandLine) -> int:
    from moby.cli.pidfile import pidfile
    from moby.engine.containerd_child import containerd_ahead
    from moby.engine.userns import remapped
    from moby.framework.assembly import named

    set_up(config.log_level, config.log_format, debug=config.debug)
    for name in idle(config):
        log.warning("a setting is accepted, and nothing here depends on it", extra={"setting": name})
    _prepare_process(config)
    assembly = named(line.assembly)
    source = ConfigSource(remapped(config))
    # Until there is a loop to hear of it: what has been begun is undone.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with pidfile(config.pidfile), containerd_ahead(source.current, assembly):
        import uvloop

        uvloop.run(_run(source, assembly, line))
    log.info("daemon has stopped")
    return 0


async def _run(source: ConfigSource[EngineConfig], assembly: Any, line: flags.CommandLine) -> None:
    import asyncio

    from moby.cli.serve import serve
    from moby.cli.signals import install
    from moby.host.threads import each_first

    each_first(come_first)
    stop = asyncio.Event()
    install(stop, lambda: reload(source, line))
    if source.current.debug:
        asyncio.get_running_loop().slow_callback_duration = 0.05
    try:
        await serve(source, assembly, stop)
    except BaseExceptionGroup as group:
        raise first_error(group) from group


def reload(source: ConfigSource[EngineConfig], line: flags.CommandLine) -> None:
    """Read the configuration file again; what can change while running does, the rest stays as it was."""
    try:
        new = daemon_json.merge(daemon_json.load(line.config_file), line.settings)
        source.replace(_reloadable(source.current, new))
    except MobyError as error:
        log.warning("configuration not reloaded", extra={"error": error.message})
        return
    set_level(source.current.log_level, debug=source.current.debug)
    log.info("configuration reloaded")


def _reloadable(old: EngineConfig, new: EngineConfig) -> EngineConfig:
    import msgspec

    changes: Mapping[str, Any] = {name: getattr(new, name) for name, key in keys().items() if key.reloads}
    return msgspec.structs.replace(old, **changes)


def _prepare_process(config: EngineConfig) -> None:
    if os.geteuid() != 0:
        raise InvalidParameter("mobyd needs to be started with root privileges")
    os.umask(0o022)
    # We start programs and call no gRPC between: without this it says at each of them that it does not mind.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    few_arenas()
    # Containers and their monitors may want every processor; whoever asks us does not wait for them.
    come_first()
    session_comes_first()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if config.oom_score_adjust:
        Path("/proc/self/oom_score_adj").write_text(str(config.oom_score_adjust))
