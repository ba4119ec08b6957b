"""Integration tests leave the machine as they found it; this looks, before and after."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from tests.leftovers import Leftovers


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fails the run when a network namespace, mount, device, nftables table or containerd is left.

    `MOBY_LEAKS=ignore` turns it off on a machine on which others work at the same time.
    """
    if os.geteuid() != 0 or os.environ.get("MOBY_LEAKS") == "ignore":
        yield
        return
    before = Leftovers.of_machine()
    yield
    deadline = time.monotonic() + 10
    # The kernel takes namespaces and their devices apart in the background.
    while (left := Leftovers.of_machine() - before) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left, f"left behind: {left}"
