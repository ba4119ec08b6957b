"""Which proxy is asked for what."""

from __future__ import annotations

import pytest

from moby.images.registry import transport
from moby.images.registry.settings import RegistryConfig


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_proxies", lambda: {"https": "http://env:1", "no": "inner.x"})


def test_environment_and_configuration() -> None:
    plain = RegistryConfig()
    assert transport.proxy_for("https://r.x/v2/", plain) == "http://env:1"
    assert transport.proxy_for("http://r.x/v2/", plain) is None
    assert transport.proxy_for("https://inner.x:5000/v2/", plain) is None
    assert transport.proxy_for("https://127.0.0.1:5000/v2/", plain) is None
    own = RegistryConfig(https_proxy="http://own:1", no_proxy="other.x")
    assert transport.proxy_for("https://inner.x/v2/", own) == "http://own:1"
    assert transport.proxy_for("https://other.x/v2/", own) is None
