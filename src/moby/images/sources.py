"""This file is about where images came from: labels on their content, in containerd's own words."""

from __future__ import annotations

from collections.abc import Mapping

from moby.core.errors import NotFound
from moby.core.images import ImageStore
from moby.core.reference import Reference

_LABEL = "containerd.io/distribution.source."


def source_label(reference: Reference) -> dict[str, str]:
    """The label that says which repository a blob is in."""
    return {f"{_LABEL}{reference.domain.partition(':')[0]}": reference.path}


async def remember_source(store: ImageStore, digest: str, reference: Reference) -> None:
    """A blob is in this repository too, beside those that are known already."""
    ((key, path),) = source_label(reference).items()
    try:
        known = (await store.content.info(digest)).labels.get(key, "")
        paths = sorted({*known.split(","), path} - {""})
        if ",".join(paths) != known:
            await store.content.label(digest, {key: ",".join(paths)})
    except NotFound:
        return


def repositories(labels: Mapping[str, str]) -> list[str]:
    """The repositories that a blob's labels name."""
    found = []
    for key, paths in sorted(labels.items()):
        if key.startswith(_LABEL):
            domain = key.removeprefix(_LABEL)
            found += [f"{domain}/{path}" for path in paths.split(",") if path]
    return found
