"""Where registries are, and how far they are trusted."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, System
from moby.images.registry.endpoints import Endpoint, endpoints, is_insecure, tls_context
from moby.images.registry.settings import RegistryConfig


def test_mirrors_are_for_docker_hub_alone() -> None:
    config = RegistryConfig(registry_mirrors=("https://m.example/sub/", "http://127.0.0.1:5000"))
    assert [each.url for each in endpoints("docker.io", config)] == [
        "https://m.example/sub",
        "http://127.0.0.1:5000",
        "https://registry-1.docker.io",
    ]
    assert [each.url for each in endpoints("ghcr.io", config)] == ["https://ghcr.io"]
    for bad in ("m.example", "ftp://x", "https://u:p@x"):
        with pytest.raises(InvalidParameter, match="invalid mirror"):
            endpoints("docker.io", RegistryConfig(registry_mirrors=(bad,)))


@pytest.mark.parametrize(
    ("domain", "entries", "expected"),
    [
        ("127.0.0.1:5000", (), True),
        ("127.9.9.9", (), True),
        ("localhost:5000", (), True),
        ("[::1]:5000", (), True),
        ("10.0.0.5:5000", (), False),
        ("10.0.0.5:5000", ("10.0.0.0/8",), True),
        ("registry.x:5000", ("registry.x:5000",), True),
        ("registry.x:5001", ("registry.x:5000",), False),
        ("registry.x:5001", ("registry.x",), True),
        ("registry.x", ("http://registry.x",), True),
        ("docker.io", ("docker.io",), False),
        ("127.0.0.1.example.com", (), False),
    ],
)
def test_insecure(domain: str, entries: tuple[str, ...], expected: bool) -> None:
    assert is_insecure(domain, RegistryConfig(insecure_registries=entries)) is expected


def test_certificate_without_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.x:5000").mkdir()
    (tmp_path / "r.x:5000" / "client.cert").write_text("")
    with pytest.raises(System, match=r"missing key client\.key"):
        tls_context(Endpoint("r.x:5000"), str(tmp_path))
    (tmp_path / "r.x:5000" / "client.cert").unlink()
    (tmp_path / "r.x:5000" / "ca.crt").write_text("no certificate")
    with pytest.raises(System, match="cannot use"):
        tls_context(Endpoint("r.x:5000"), str(tmp_path))
    assert tls_context(Endpoint("other"), str(tmp_path)).check_hostname
    assert not tls_context(Endpoint("other", insecure=True), str(tmp_path)).check_hostname


def test_what_is_trusted_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    endpoint = Endpoint("r.x:5000")
    first = tls_context(endpoint, str(tmp_path))
    assert tls_context(endpoint, str(tmp_path)) is first
    assert tls_context(Endpoint("other"), str(tmp_path)) is not first
    assert tls_context(Endpoint("r.x:5000", insecure=True), str(tmp_path)) is not first
    (tmp_path / "r.x:5000").mkdir()
    changed = tls_context(endpoint, str(tmp_path))
    assert changed is not first
    (tmp_path / "r.x:5000/ca.crt").write_text("no certificate")
    with pytest.raises(System, match="cannot use"):
        tls_context(endpoint, str(tmp_path))
    (tmp_path / "r.x:5000/ca.crt").unlink()
    for number in range(8):
        tls_context(Endpoint(f"r{number}"), str(tmp_path))
    assert tls_context(endpoint, str(tmp_path)) is not changed
