from __future__ import annotations

import os
from pathlib import Path

import pytest

from moby.host.mounts import is_made_up


@pytest.mark.parametrize(("path", "expected"), [("/proc/self", True), ("/sys/kernel", True), ("/", False)])
def test_the_kernel_makes_up_some(path: str, expected: bool) -> None:
    descriptor = os.open(path, os.O_PATH)
    assert is_made_up(descriptor) == expected
    os.close(descriptor)


def test_a_closed_descriptor_is_an_error(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_PATH)
    os.close(descriptor)
    with pytest.raises(OSError, match="fstatfs"):
        is_made_up(descriptor)
