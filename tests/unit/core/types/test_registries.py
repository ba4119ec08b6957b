"""This file is about credentials: they are not shown by accident."""

from __future__ import annotations

import msgspec

from moby.core.types.registries import AuthConfig


def test_password_is_not_in_the_representation() -> None:
    auth = msgspec.json.decode(
        b'{"username":"me","password":"secret","serveraddress":"r","identitytoken":"t0ken"}', type=AuthConfig
    )
    assert auth.password == "secret"
    assert "secret" not in repr(auth)
    assert "t0ken" not in str(auth)
