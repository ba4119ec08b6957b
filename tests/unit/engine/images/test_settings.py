"""The engine's settings reach the registries."""

from __future__ import annotations

from moby.engine.config import EngineConfig, Proxies
from moby.engine.images.settings import registry_config


def test_settings_are_passed_on() -> None:
    found = registry_config(
        EngineConfig(
            registry_mirrors=("https://m",),
            insecure_registries=("10.0.0.0/8",),
            proxies=Proxies(no_proxy="x"),
        )
    )
    assert (found.registry_mirrors, found.insecure_registries) == (("https://m",), ("10.0.0.0/8",))
    assert (found.max_concurrent_downloads, found.no_proxy) == (3, "x")
