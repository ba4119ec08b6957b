"""This file is about what a machine is told at its start: a disk labelled `cidata`, as NoCloud reads it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from moby.core.errors import InvalidParameter
from moby.host.threads import blocking
from moby.machine.job import scratch_folder, written
from moby.machine.native import native


@dataclass(frozen=True, slots=True)
class Data:
    """The user's data, and the machine's name and number if it is to have them."""

    user: bytes
    hostname: str = ""
    instance_id: str = ""

    def files(self) -> dict[str, bytes]:
        """What is on the CD; `config` is where LinuxKit's older component looks."""
        told = {"instance-id": self.instance_id, "local-hostname": self.hostname}
        # JSON is YAML; a line each is what simple readers want.
        lines = [f"{key}: {msgspec.json.encode(value).decode()}\n" for key, value in told.items() if value]
        return {"user-data": self.user, "meta-data": "".join(lines).encode(), "config": self.user}


async def write_data_disc(target: Path, data: Data) -> None:
    """Write the CD; the same data is the same bytes. Raises InvalidParameter, System, NotFound."""
    if not data.user:
        raise InvalidParameter("there is no data for the CD")
    if any(mark in data.hostname + data.instance_id for mark in "\n\r\"'\\"):
        raise InvalidParameter("host name and number are plain words")
    with scratch_folder(target.absolute().parent) as scratch:
        root = scratch / "cd"
        await blocking(_lay_out, root, data)
        with written(target) as path:
            await native(
                "xorriso", "-as", "mkisofs",
                "-quiet",
                "-J",
                "-r",
                "-volid", "cidata",
                "--modification-date=1970010100000000",
                "-o", path,
                root,
                env={"SOURCE_DATE_EPOCH": "0"},
            )  # fmt: skip
    # What a machine is told may be secret.
    target.chmod(0o600)


def _lay_out(root: Path, data: Data) -> None:
    root.mkdir()
    for name, content in data.files().items():
        (root / name).write_bytes(content)
    for path in [*root.iterdir(), root]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (0, 0))
