"""Descriptors on the wire."""

from __future__ import annotations

import msgspec

from moby.core.descriptor import OCI_INDEX, OCI_MANIFEST, Descriptor
from moby.core.platform import Platform


def test_what_is_not_said_is_left_out() -> None:
    plain = Descriptor(OCI_MANIFEST, "sha256:1", 5)
    assert msgspec.json.decode(msgspec.json.encode(plain)) == {
        "mediaType": OCI_MANIFEST,
        "digest": "sha256:1",
        "size": 5,
    }


def test_round_trip() -> None:
    full = Descriptor(
        OCI_INDEX, "sha256:1", 5, ("http://x",), {"a": "b"}, Platform("arm64", "linux", variant="v8"), "t"
    )
    assert msgspec.json.decode(msgspec.json.encode(full), type=Descriptor) == full
