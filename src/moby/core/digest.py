"""This file is about content digests as the OCI image spec (descriptor.md, "Digests") defines them."""

from __future__ import annotations

import hashlib
import re

from moby.core.errors import InvalidParameter

_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
_DIGEST = re.compile(r"(sha256|sha384|sha512):([0-9a-f]+)")


def digest_of(data: bytes) -> str:
    """The canonical (sha256) digest of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def is_digest(text: str) -> bool:
    """Is `text` a digest with a registered algorithm and the right length?"""
    match = _DIGEST.fullmatch(text)
    return match is not None and len(match[2]) == _LENGTHS[match[1]]


def check_digest(text: str) -> str:
    """`text` itself if it is a digest. Raises InvalidParameter if not."""
    if not is_digest(text):
        raise InvalidParameter(f"invalid checksum digest format: {text!r}")
    return text


def chain_id(diff_ids: list[str]) -> str:
    """The chain ID of a stack of layers (OCI image spec, config.md, "Layer ChainID")."""
    chain = diff_ids[0]
    for diff_id in diff_ids[1:]:
        chain = digest_of(f"{chain} {diff_id}".encode())
    return chain
