"""An archive of an image of 300 MB, loaded and saved; and a list of 500 images."""

from __future__ import annotations

import os

from bench.made_images import archive, configuration, digest, layer, plain_layers
from bench.measurement import Measurement, milliseconds
from bench.place import Side

NAME, LISTED, COUNT = "bench-archived:1", "bench-listed", 500


def make(side: Side) -> None:
    """The archive, once for both sides."""
    path = side.files.parent / "archived.tar"
    if not path.exists():
        layers = list(plain_layers())
        archive(path, [(NAME, layers, configuration([digest(one) for one in layers]))])


def forget(side: Side) -> None:
    """Without the image."""
    side.engine.docker("rmi", "--force", NAME, timeout=120)


def load(side: Side) -> float:
    """One load into an engine without the image."""
    forget(side)
    os.sync()  # what the turns before have left for the kernel to write is not counted
    path = side.files.parent / "archived.tar"
    return milliseconds(lambda: side.engine.ok("load", "--quiet", "--input", path, timeout=300))


def loaded(side: Side) -> None:
    """An image to save."""
    make(side)
    load(side)


def save(side: Side) -> float:
    """One save into a file."""
    path = side.files / "saved.tar"
    try:
        return milliseconds(lambda: side.engine.ok("save", "--output", path, NAME, timeout=300))
    finally:
        path.unlink(missing_ok=True)


def many(side: Side) -> None:
    """Images that share a layer."""
    path = side.files / "many.tar"
    shared = layer(1, files=1, noise=1000, text=1)
    created = "2026-01-02T03:04:05Z"
    images = [
        (
            f"{LISTED}:{number}",
            [shared],
            configuration([digest(shared)], created=created, author=str(number)),
        )
        for number in range(COUNT)
    ]
    archive(path, images)
    side.engine.ok("load", "--quiet", "--input", path, timeout=300)


def listing(side: Side) -> float:
    """One list of all, by the docker command."""
    return milliseconds(lambda: side.engine.ok("images"))


def none(side: Side) -> None:
    """Without them again."""
    side.engine.docker("rmi", "--force", *(f"{LISTED}:{number}" for number in range(COUNT)), timeout=300)


MEASUREMENTS = (
    Measurement("load-300MB", "ms", load, rounds=3, goal=0.4, warm=False, prepare=make, tidy=forget),
    Measurement("save-300MB", "ms", save, rounds=3, goal=0.4, warm=False, prepare=loaded, tidy=forget),
    Measurement("images-500", "ms", listing, goal=0.7, prepare=many, tidy=none),
)
