"""This file is about how registries are configured: mirrors, trust, limits."""

from __future__ import annotations

import msgspec


class RegistryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How registries are spoken to."""

    registry_mirrors: tuple[str, ...] = ()
    """URLs that are asked before Docker Hub."""
    insecure_registries: tuple[str, ...] = ()
    """`host`, `host:port` or networks in CIDR form, spoken to without trusted certificates or without TLS."""
    certs_dir: str = "/etc/docker/certs.d"
    """Where `HOST/*.crt`, `HOST/*.cert` and `HOST/*.key` are looked for."""
    max_concurrent_downloads: int = 3
    """Blobs that are fetched at once, for all pulls together."""
    max_concurrent_uploads: int = 5
    """Blobs that are sent at once, for all pushes together."""
    max_download_attempts: int = 5
    """How often a request is tried."""
    http_proxy: str = ""
    """The proxy for plain HTTP, instead of what the environment says."""
    https_proxy: str = ""
    """The proxy for HTTPS, instead of what the environment says."""
    no_proxy: str = ""
    """Hosts that are asked directly, instead of what the environment says."""
    retry_delay_s: float = 0.5
    """The first pause between two tries, in seconds; it doubles."""
