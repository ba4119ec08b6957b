"""What was built is known again by all that it is made of."""

from __future__ import annotations

import os
from pathlib import Path

from moby.machine.unchanged import Notes, key_of


def test_a_key_is_of_values_files_and_our_own_code(tmp_path: Path) -> None:
    source = tmp_path / "source"
    assert key_of(["a"], [source]) == key_of(["a"], [source])
    before = key_of(["a"], [source])
    source.write_text("x")
    assert key_of(["a"], [source]) != before
    assert key_of(["a", "b"], []) != key_of(["ab"], [])


def test_files_that_somebody_touched_are_built_again(tmp_path: Path) -> None:
    made = [tmp_path / "out" / name for name in ("one", "two")]
    made[0].parent.mkdir()
    for path in made:
        path.write_text("x")
    notes = Notes(tmp_path / "cache", tmp_path / "out", "machine")
    assert notes.find("key") is None
    notes.write("key", made)
    assert notes.find("key") == made
    assert notes.find("other") is None
    assert Notes(tmp_path / "cache", tmp_path / "out", "another").find("key") is None
    status = made[0].stat()
    made[0].write_text("y")
    os.utime(made[0], ns=(status.st_atime_ns, status.st_mtime_ns))
    assert notes.find("key") is None
    notes.write("key", made)
    made[1].unlink()
    assert notes.find("key") is None


def test_a_note_that_cannot_be_read_or_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    notes = Notes(tmp_path / "cache", tmp_path, "machine")
    notes.write("key", [])
    assert notes.find("key") is None
