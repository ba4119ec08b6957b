"""This file is about referrers: signatures that a registry keeps of what was stated about an image.

They are fetched with the statement that they sign, and kept as long as it is by a label on it, which is
containerd's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from moby.core.descriptor import Descriptor
from moby.core.errors import InvalidParameter, NotFound
from moby.core.images import ImageStore
from moby.images.contents import Contents

# Signatures by cosign, and sigstore's bundles.
SIGNATURES = frozenset(
    {
        "application/vnd.dev.cosign.artifact.sig.v1+json",
        "application/vnd.dev.sigstore.bundle.v0.3+json",
    }
)
SUBJECT = "io.containerd.manifest.subject"
_LABEL = "containerd.io/gc.ref.content.referrer.sha256."


async def keep_referrers(store: ImageStore, subject: str, referrers: Iterable[Descriptor]) -> None:
    """Keep them as long as `subject`. Raises NotFound if that is not here."""
    labels = {f"{_LABEL}{each.digest.partition(':')[2][:12]}": each.digest for each in referrers}
    if labels:
        await store.content.label(subject, labels)


async def kept_referrers(store: ImageStore, contents: Contents, subject: str) -> Sequence[Descriptor]:
    """Those of `subject` that are here, each with a note of what it refers to."""
    found = []
    for key, digest in sorted((await store.content.info(subject)).labels.items()):
        if key.startswith(_LABEL):
            try:
                size = (await store.content.info(digest)).size
                document = await contents.document(Descriptor("", digest, size))
            except (NotFound, InvalidParameter):
                continue
            found.append(
                Descriptor(
                    document.media_type,
                    digest,
                    size,
                    annotations={SUBJECT: subject},
                    artifact_type=document.artifact_type,
                )
            )
    return found
