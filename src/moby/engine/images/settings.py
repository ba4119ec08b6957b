"""This file is about how the engine's settings become those of registries."""

from __future__ import annotations

from urllib.parse import urlsplit

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
        http_proxy=engine.http_proxy or engine.proxies.http_proxy,
        https_proxy=engine.https_proxy or engine.proxies.https_proxy,
        no_proxy=engine.no_proxy or engine.proxies.no_proxy,
    )


def masked(url: str) -> str:
    """A proxy's address as others may see it: whoever it knows us as, and the password, left out."""
    place = urlsplit(url).netloc
    return url.replace(place, f"xxxxx:xxxxx@{place.rpartition('@')[2]}", 1) if "@" in place else url
