"""This file is about which CDI devices there are; of two directories the later one counts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from moby.runtime.cdi.files import BadFile, Device, Specification, read_directory

log = logging.getLogger(__name__)

CDI_DIRECTORIES = ("/etc/cdi", "/var/run/cdi")


class Registry:
    """Devices by their full names (VENDOR/CLASS=NAME), read once."""

    def __init__(self, directories: Sequence[str]) -> None:
        self._devices: dict[str, tuple[Specification, Device]] = {}
        self.failures: list[str] = []
        for directory in directories:
            self._read(Path(directory))

    def _read(self, directory: Path) -> None:
        """A device that two files of one directory have is in conflict, and there is none by that name."""
        found: dict[str, tuple[Specification, Device]] = {}
        conflicts: set[str] = set()
        for entry in read_directory(directory):
            if isinstance(entry, BadFile):
                log.warning("a device specification cannot be read", extra={"error": str(entry)})
                self.failures.append(str(entry))
                continue
            for device in entry.devices:
                name = f"{entry.kind}={device.name}"
                if name in found:
                    conflicts.add(name)
                found[name] = (entry, device)
        for name in conflicts:
            del found[name]
            self._devices.pop(name, None)
            self.failures.append(f"conflicting device {name}")
        self._devices.update(found)

    def names(self) -> Sequence[str]:
        """All of them."""
        return sorted(self._devices)

    def get(self, name: str) -> tuple[Specification, Device] | None:
        """A device with the file it is from."""
        return self._devices.get(name)

    def vendors(self) -> frozenset[str]:
        """Who has devices here."""
        return frozenset(name.partition("/")[0] for name in self._devices)


def device_names(directories: Sequence[str]) -> Sequence[str]:
    """The full names of all devices. Blocks."""
    return Registry(directories or CDI_DIRECTORIES).names()
