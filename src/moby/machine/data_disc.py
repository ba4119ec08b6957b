"""This file is about what a machine is told at its start: a CD labelled `cidata`, as NoCloud reads it."""

from __future__ import annotations

from pathlib import Path

from moby.machine.job import scratch_folder, written
from moby.machine.native import native


async def write_data_disc(target: Path, name: str, data: bytes) -> None:
    """Write the CD: `user-data`, and `meta-data` with the machine's name. Raises MobyError."""
    with scratch_folder(target.parent) as scratch:
        root = scratch / "cd"
        root.mkdir()
        (root / "user-data").write_bytes(data)
        (root / "meta-data").write_text(f"instance-id: {name}\nlocal-hostname: {name}\n")
        with written(target) as path:
            await native(
                "xorriso", "-as", "mkisofs", "-quiet", "-r", "-J", "-volid", "cidata", "-o", path, root
            )
    # What a machine is told may be secret.
    target.chmod(0o600)
