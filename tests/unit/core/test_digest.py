"""Digests and chain IDs."""

from __future__ import annotations

import hashlib

import pytest

from moby.core.digest import chain_id, check_digest, digest_of, is_digest
from moby.core.errors import InvalidParameter


def test_only_registered_algorithms_of_the_right_length() -> None:
    assert is_digest(digest_of(b""))
    assert is_digest("sha512:" + "0" * 128)
    for bad in ("", "sha256:", "sha256:" + "a" * 63, "sha256:" + "A" * 64, "md5:" + "a" * 32, "a" * 64):
        assert not is_digest(bad)
        with pytest.raises(InvalidParameter):
            check_digest(bad)
    assert check_digest(digest_of(b"x")) == "sha256:" + hashlib.sha256(b"x").hexdigest()


def test_chain_id_of_one_layer_is_its_diff_id() -> None:
    first, second = digest_of(b"1"), digest_of(b"2")
    assert chain_id([first]) == first
    assert chain_id([first, second]) == digest_of(f"{first} {second}".encode())
    assert chain_id([first, second, first]) == chain_id([chain_id([first, second]), first])
