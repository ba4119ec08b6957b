"""This file is about how the engine's settings become those of registries."""

from __future__ import annotations

from moby.engine.config import EngineConfig
from moby.images.registry.settings import RegistryConfig


def registry_config(engine: EngineConfig) -> RegistryConfig:
    """What registries are spoken to with."""
    return RegistryConfig(
        registry_mirrors=engine.registry_mirrors,
        insecure_registries=engine.insecure_registries,
        max_concurrent_downloads=engine.max_concurrent_downloads,
        max_concurrent_uploads=engine.max_concurrent_uploads,
        max_download_attempts=engine.max_download_attempts,
        http_proxy=engine.proxies.http_proxy,
        https_proxy=engine.proxies.https_proxy,
        no_proxy=engine.proxies.no_proxy,
    )
