"""This file is about an image as an OCI layout inside the machine, for programs there that read layouts."""

from __future__ import annotations

from collections.abc import Sequence

from moby.core.codec import encode
from moby.core.descriptor import Descriptor
from moby.core.errors import NotImplemented
from moby.core.platform import parse_platform
from moby.images.documents import REF_NAME, Document
from moby.machine.cache import Image, ImageCache
from moby.machine.tree import Node, Slice, Tree


def layout_tree(cache: ImageCache, image: Image, platforms: Sequence[str] = ()) -> Tree:
    """The image for the machine's platform as a layout. Raises NotImplemented if another one is asked for."""
    for text in platforms:
        if not image.config.platform.fits(parse_platform(text)):
            raise NotImplemented(f"a volume holds the image for the machine's own platform, not for {text}")
    tree = Tree()
    tree.put("oci-layout", Node(content=b'{"imageLayoutVersion":"1.0.0"}\n'))
    document = cache.manifest(image.manifest, image.config.platform)[1]
    entry = Descriptor(
        image.manifest.media_type or document.media_type,
        image.manifest.digest,
        image.manifest.size,
        annotations={REF_NAME: image.name},
    )
    index = Document(media_type="application/vnd.oci.image.index.v1+json", manifests=[entry])
    tree.put("index.json", Node(content=encode(index) + b"\n"))
    for blob in [image.manifest, *document.children()]:
        path = cache.blob(blob.digest)
        content = Slice(path, 0, path.stat().st_size)
        tree.put(f"blobs/{blob.digest.replace(':', '/')}", Node(content=content, origin=image.name))
    return tree
