"""This file is about references: `busybox`, `ghcr.io/owner/app:1.2`, `alpine@sha256:…`, and what they mean.

Two forms of one name: the full one, which stores keep (`docker.io/library/busybox:latest`), and the familiar
one, which people write and read (`busybox:latest`). The grammar is that of distribution/reference.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from moby.core.digest import is_digest
from moby.core.errors import InvalidParameter

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
NAME_LIMIT = 255
DANGLING_PREFIX = "moby-dangling@"

_OFFICIAL = "library/"
_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?"
_PATH_PART = r"[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?:({_DOMAIN})/)?({_PATH_PART}(?:/{_PATH_PART})*)(?::({_TAG}))?(?:@({_DIGEST}))?", re.ASCII
)
_IS_TAG = re.compile(_TAG, re.ASCII)
_HEX64 = re.compile(r"[a-f0-9]{64}")


class Reference(msgspec.Struct, frozen=True):
    """A repository at a registry, and which image in it: by tag, by digest, by both, or neither."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The repository's full name."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository's name as people write it."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        rest = self.path.removeprefix(_OFFICIAL)
        return self.path if "/" in rest else rest

    @property
    def familiar(self) -> str:
        """The whole reference as people write it."""
        return self.familiar_name + self._suffix()

    @property
    def is_name_only(self) -> bool:
        """Is it a repository and no image of it?"""
        return not self.tag and not self.digest

    def with_default_tag(self) -> Reference:
        """Itself, or with `latest` if it names no image."""
        return msgspec.structs.replace(self, tag=DEFAULT_TAG) if self.is_name_only else self

    def with_tag(self, tag: str) -> Reference:
        """The image of this tag. Raises InvalidParameter."""
        if not _IS_TAG.fullmatch(tag):
            raise InvalidParameter("invalid tag format")
        return msgspec.structs.replace(self, tag=tag)

    def with_digest(self, digest: str) -> Reference:
        """The image of this digest. Raises InvalidParameter."""
        if not is_digest(digest):
            raise InvalidParameter("invalid digest format")
        return msgspec.structs.replace(self, digest=digest)

    def only_name(self) -> Reference:
        """The repository alone."""
        return Reference(self.domain, self.path)

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return f"{self.domain}/{self.path}{self._suffix()}"


@lru_cache(1024)
def parse_reference(text: str) -> Reference:
    """`text` in either form as a reference. Raises InvalidParameter."""
    if _HEX64.fullmatch(text):
        raise InvalidParameter(
            f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
        )
    domain, remainder = _split(text)
    remote = remainder.partition("@")[0] if "@" in remainder else remainder
    remote = remote[: remote.index(":")] if ":" in remote else remote
    if remote != remote.lower():
        raise InvalidParameter(f"invalid reference format: repository name ({remote}) must be lowercase")
    match = _REFERENCE.fullmatch(f"{domain}/{remainder}")
    if match is None or not match[1]:
        raise InvalidParameter("invalid reference format")
    _, path, tag, digest = match.groups()
    if len(path) > NAME_LIMIT:
        raise InvalidParameter(f"repository name must not be more than {NAME_LIMIT} characters")
    if digest and not is_digest(digest):
        known = digest.partition(":")[0] in ("sha256", "sha384", "sha512")
        raise InvalidParameter("invalid checksum digest length" if known else "unsupported digest algorithm")
    return Reference(domain, path, tag or "", digest or "")


def parse_any(text: str) -> Reference | str:
    """`text` as a digest, if it is one (bare hexadecimal counts), or else as a reference."""
    if _HEX64.fullmatch(text):
        return f"sha256:{text}"
    if is_digest(text):
        return text
    return parse_reference(text)


def familiar(name: str) -> str:
    """A stored name as people read it; what is no reference stays as it is."""
    try:
        return parse_reference(name).familiar
    except InvalidParameter:
        return name


def stored_name(text: str) -> str:
    """The name under which containerd keeps what people call `text`; what is no reference stays as it is."""
    try:
        found = parse_any(text)
    except InvalidParameter:
        return text
    return found if isinstance(found, str) else str(found.with_default_tag())


def dangling_name(digest: str) -> str:
    """The name under which an image without one is kept."""
    return DANGLING_PREFIX + digest


def _split(text: str) -> tuple[str, str]:
    """Registry and the rest; a first part is a registry if it has a dot, a port or a capital letter."""
    first, slash, rest = text.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        domain, remainder = first, rest
    else:
        domain, remainder = DEFAULT_DOMAIN, text
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in remainder:
        remainder = _OFFICIAL + remainder
    return domain, remainder
