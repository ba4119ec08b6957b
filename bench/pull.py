"""Pull and push of 300 MB, seven layers and 30,000 files; of 60 tiny layers; the memory that 1 GB takes."""

from __future__ import annotations

import functools
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator

from bench.made_images import LARGE, compressed, large_layers, noise_layers, publish, tiny_layers
from bench.measurement import Measurement, milliseconds
from bench.memory import resident
from bench.place import REGISTRY, Side
from tests.clients.registry import registry

TINY, HUGE = "bench/tiny", "bench/huge"
SECOND_REGISTRY = "127.0.0.1:5006"


def publisher(repository: str, layers: Callable[[], Iterator[bytes]]) -> Callable[[Side], None]:
    """Makes an image in a side's registry before the first turn."""
    return lambda side: publish(side, repository, lambda: compressed(layers()))


def forget(repository: str, side: Side) -> None:
    """Without the image."""
    side.engine.docker("rmi", "--force", f"{REGISTRY}/{repository}:1", timeout=120)


def pull(repository: str, side: Side) -> float:
    """One pull into an engine without the image; the removal before is not counted.

    Nor is what the turns before have left for the kernel to write.
    """
    forget(repository, side)
    os.sync()
    name = f"{REGISTRY}/{repository}:1"
    return milliseconds(lambda: side.engine.ok("pull", "--quiet", name, timeout=300))


def pulled(side: Side) -> None:
    """An image to push."""
    publisher(LARGE, large_layers)(side)
    side.engine.ok("pull", "--quiet", f"{REGISTRY}/{LARGE}:1", timeout=300)
    side.engine.ok("tag", f"{REGISTRY}/{LARGE}:1", f"{SECOND_REGISTRY}/pushed:1")


def push(side: Side) -> float:
    """One push to a registry that has nothing."""
    directory = side.files.parent / "second-registry"
    try:
        with registry(side.engine.network, directory, SECOND_REGISTRY):
            name = f"{SECOND_REGISTRY}/pushed:1"
            return milliseconds(lambda: side.engine.ok("push", "--quiet", name, timeout=300))
    finally:
        shutil.rmtree(directory)


def pushed(side: Side) -> None:
    """Without it again."""
    side.engine.docker("rmi", "--force", f"{SECOND_REGISTRY}/pushed:1")
    forget(LARGE, side)


def memory(side: Side) -> float:
    """How far the memory of the daemon's processes rises above what it was before a pull of 1 GB, in MiB."""
    forget(HUGE, side)
    before, highest, over = resident(side), 0.0, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not over.is_set():
            highest = max(highest, resident(side))
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        side.engine.ok("pull", "--quiet", f"{REGISTRY}/{HUGE}:1", timeout=300)
    finally:
        over.set()
        watcher.join()
    return highest - before


MEASUREMENTS = (
    Measurement(
        "pull-300MB",
        "ms",
        functools.partial(pull, LARGE),
        rounds=3,
        goal=0.25,
        warm=False,
        prepare=publisher(LARGE, large_layers),
        tidy=functools.partial(forget, LARGE),
    ),
    Measurement(
        "pull-60-layers",
        "ms",
        functools.partial(pull, TINY),
        rounds=5,
        goal=0.6,
        prepare=publisher(TINY, tiny_layers),
        tidy=functools.partial(forget, TINY),
    ),
    Measurement("push-300MB", "ms", push, rounds=3, goal=0.7, warm=False, prepare=pulled, tidy=pushed),
    Measurement(
        "memory-pull-1GB",
        "MiB",
        memory,
        rounds=1,
        warm=False,
        prepare=publisher(HUGE, noise_layers),
        tidy=functools.partial(forget, HUGE),
    ),
)
