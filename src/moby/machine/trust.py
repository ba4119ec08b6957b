"""This file is about whose images are trusted: signatures by public keys, as cosign leaves them.

A signature lies beside its image, under the tag `sha256-DIGEST.sig`: a manifest whose layers are small
documents, which name the image's digest, each with a signature of it in an annotation. openssl verifies them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

import msgspec

from moby.core.descriptor import Descriptor
from moby.core.errors import Forbidden, InvalidParameter, NotFound
from moby.core.reference import Reference, familiar
from moby.framework.machine import TrustRule
from moby.host.files import translation
from moby.host.process import run
from moby.images.documents import read_document
from moby.machine.cache import ImageCache, full_name
from moby.machine.job import scratch_folder
from moby.machine.native import program

_SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
_SIGNATURE = "dev.cosignproject.cosign/signature"
_TYPE = "cosign container image signature"
_PEM = "-----BEGIN"


class Fetches(Protocol):
    """What gets an image into the cache."""

    async def fetch(self, reference: Reference) -> Descriptor:
        """See `Fetcher.fetch`."""
        ...


class Guard:
    """An assembly's rules; `folder` is where paths of keys start."""

    def __init__(self, rules: Sequence[TrustRule], cache: ImageCache, folder: Path) -> None:
        self._rules = rules
        self._cache = cache
        self._folder = folder

    async def check(self, reference: Reference, target: Descriptor, fetcher: Fetches | None) -> None:
        """Raises Forbidden if the first rule that matches wants a signature that there is not.

        Without a fetcher only signatures in the cache count. Raises InvalidParameter for a bad key.
        """
        name = f"{reference.domain}/{reference.path}"
        names = (name, familiar(name))
        rule = next(
            (rule for rule in self._rules if any(fnmatchcase(each, rule.match) for each in names)),
            None,
        )
        if rule is None:
            return
        keys = [self._key(text) for text in rule.keys]
        signature = Reference(reference.domain, reference.path, tag=f"{target.digest.replace(':', '-')}.sig")
        with scratch_folder(self._cache.root / "scratch") as scratch:
            files = [await _key_file(key, scratch / f"key{index}") for index, key in enumerate(keys)]
            async for manifest in self._manifests(signature, fetcher):
                if await self._signed(manifest, target.digest, files, scratch):
                    return
        raise Forbidden(f"{target.digest} is signed by none of the keys for {rule.match}")

    def _key(self, text: str) -> bytes:
        if _PEM in text:
            return text.encode()
        path = Path(text).expanduser()
        with translation(f"cannot read the key {text}"):
            return (path if path.is_absolute() else self._folder / path).read_bytes()

    async def _manifests(self, signature: Reference, fetcher: Fetches | None) -> AsyncIterator[Descriptor]:
        """What is here of the signatures, and then what the registry has by now."""
        here = self._cache.names().get(full_name(signature))
        if here is not None:
            yield here
        if fetcher is None:
            return
        try:
            found = await fetcher.fetch(signature)
        except NotFound:
            return
        self._cache.name(full_name(signature), found)
        if here is None or found.digest != here.digest:
            yield found

    async def _signed(self, manifest: Descriptor, digest: str, keys: Sequence[Path], scratch: Path) -> bool:
        document = read_document(self._cache.read(manifest.digest), manifest.media_type)
        for layer in document.layers:
            if layer.media_type != _SIMPLE_SIGNING or not self._cache.has(layer.digest):
                continue
            payload = self._cache.read(layer.digest)
            try:
                signature = base64.b64decode(layer.annotations.get(_SIGNATURE, ""), validate=True)
            except binascii.Error:
                continue
            if _names(payload) != digest:
                continue
            for key in keys:
                if await _verifies(key, payload, signature, scratch):
                    return True
        return False


def _names(payload: bytes) -> str:
    """The digest that a document speaks of; nothing, if it is none of cosign's."""
    try:
        said = msgspec.json.decode(payload, type=dict[str, Any])
        critical = said["critical"]
        found = critical["image"]["docker-manifest-digest"]
    except (msgspec.MsgspecError, KeyError, TypeError):
        return ""
    return str(found) if critical.get("type") == _TYPE else ""


async def _key_file(key: bytes, path: Path) -> Path:
    path.write_bytes(key)
    if (await run([program("openssl"), "pkey", "-pubin", "-in", str(path), "-noout"])).code != 0:
        raise InvalidParameter("a key of trust is no public key in PEM")
    return path


async def _verifies(key: Path, payload: bytes, signature: bytes, scratch: Path) -> bool:
    said, sealed = scratch / "payload", scratch / "signature"
    said.write_bytes(payload)
    sealed.write_bytes(signature)
    hashed = ["dgst", "-sha256", "-verify", str(key), "-signature", str(sealed), str(said)]
    # Ed25519 signs what is said, not its hash.
    whole = [
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        str(key),
        "-rawin",
        "-in",
        str(said),
        "-sigfile",
        str(sealed),
    ]
    for words in (hashed, whole):
        if (await run([program("openssl"), *words])).code == 0:
            return True
    return False
