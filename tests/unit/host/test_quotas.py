"""Limits for directories, where a file system has none: a machine's disk shows the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.host.quotas import free, limit, supported


def test_a_file_system_without_projects() -> None:
    place = Path("/proc/self")
    assert not supported(place)
    assert not supported(Path("/nowhere"))
    with pytest.raises(OSError, match="Errno"):
        limit(place, 1 << 20)
    with pytest.raises(OSError, match="Errno"):
        free(place)
