"""This file is about settings that change while the engine runs: who may refuse that, and who is told."""

from __future__ import annotations

from collections.abc import Callable

from moby.core.codec import encode
from moby.core.config import ConfigSource
from moby.core.errors import InvalidParameter
from moby.core.events import Bus
from moby.core.plugins import Plugins
from moby.engine.config import EngineConfig
from moby.engine.machine_facts import machine_facts
from moby.engine.system import Inventory


def announce_reloads(
    config: ConfigSource[EngineConfig], events: Bus, inventory: Inventory, plugins: Plugins
) -> None:
    """From now on what is not there is refused, and every change is an event `reload`."""

    def prepare(_: EngineConfig, new: EngineConfig) -> Callable[[], None]:
        if new.default_runtime and new.default_runtime not in inventory.runtimes:
            raise InvalidParameter(f"specified default runtime '{new.default_runtime}' does not exist")
        for name in new.authorization_plugins:
            if not plugins.present(name):
                raise InvalidParameter(f'Error validating authorization plugin: plugin "{name}" not found')
        attributes = {"name": machine_facts().name, **_attributes(new, inventory)}
        return lambda: events.publish("daemon", "reload", inventory.id, attributes)

    config.subscribe(prepare)


def _attributes(config: EngineConfig, inventory: Inventory) -> dict[str, str]:
    """What the engine is set to, as texts."""
    return {
        "debug": str(config.debug).lower(),
        "default-cgroupns-mode": config.default_cgroupns_mode,
        "default-ipc-mode": config.default_ipc_mode,
        "default-runtime": config.default_runtime or inventory.default_runtime,
        "default-shm-size": str(config.default_shm_size),
        "default-stop-timeout": str(config.default_stop_timeout),
        "insecure-registries": encode(list(config.insecure_registries)).decode(),
        "labels": encode(list(config.labels)).decode(),
        "live-restore": str(config.live_restore).lower(),
        "max-concurrent-downloads": str(config.max_concurrent_downloads),
        "max-concurrent-uploads": str(config.max_concurrent_uploads),
        "max-download-attempts": str(config.max_download_attempts),
        "registry-mirrors": encode(list(config.registry_mirrors)).decode(),
        "runtimes": " ".join(f"{name}:{entry.path}" for name, entry in config.runtimes.items()),
        "shutdown-timeout": str(config.shutdown_timeout),
    }
