"""moby.lock: written in order, read strictly."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter
from moby.machine.lock import Locked, read_lock, write_lock

DIGEST = f"sha256:{'a' * 64}"


def test_a_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "moby.lock"
    assert read_lock(path) == {}
    images = {"b": Locked(DIGEST), "a": Locked(DIGEST, ("x=1", "y=2"))}
    write_lock(path, images)
    assert read_lock(path) == images
    assert path.read_text().index('"a"') < path.read_text().index('"b"')


@pytest.mark.parametrize("text", [
    "", "{", '{"version": 2, "images": {}}', '{"version": 1, "images": {"a": {"digest": "x"}}}',
    f'{{"version": 1, "images": {{"a": {{"digest": "{DIGEST}", "more": 1}}}}}}',
])  # fmt: skip
def test_a_wrong_lock_is_an_error_with_its_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "moby.lock").write_text(text)
    with pytest.raises(InvalidParameter, match=r"moby\.lock"):
        read_lock(tmp_path / "moby.lock")
