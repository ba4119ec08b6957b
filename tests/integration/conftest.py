"""Integration tests leave the machine as they found it; this looks, before and after."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

import pytest

from tests.leftovers import Leftovers


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fails the run when a network namespace, mount, device, nftables table or containerd is left.

    What is in another run's folders, and what engines of `tests/clients` have, is others' business.
    `MOBY_LEAKS=ignore` turns it off on a machine on which others work at the same time.
    """
    if os.geteuid() != 0 or os.environ.get("MOBY_LEAKS") == "ignore":
        yield
        return
    own = str(tmp_path_factory.getbasetemp())
    others = re.compile(rf"mobyt-|^(?!.*{re.escape(own)}\b).*/pytest-of-")
    before = Leftovers.of_machine()
    yield
    deadline = time.monotonic() + 10
    # The kernel takes namespaces and their devices apart in the background.
    while (left := (Leftovers.of_machine() - before).without(others)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left, f"left behind: {left}"
