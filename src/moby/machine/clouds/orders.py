"""This file is about what can be asked of which cloud: every option with its words, on one page."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from moby.core.errors import InvalidParameter


@dataclass(frozen=True, slots=True)
class Cloud:
    """What a cloud takes: the form of a disk, and its options; a `*` marks those that are needed."""

    disk: str
    push: Mapping[str, str]
    run: Mapping[str, str]


CLOUDS: Mapping[str, Cloud] = {
    "aws": Cloud(
        "aws",
        {"region": "where", "boot": "legacy-bios or uefi", "profile": "whose names and passwords"},
        {
            "region": "where", "profile": "whose names and passwords", "type": "the machine (t3.micro)",
            "subnet": "its network", "security-group": "who reaches it", "key": "a key pair's name",
        },
    ),
    "gcp": Cloud(
        "gcp",
        {"bucket*": "where the disk is sent to", "project": "whose", "family": "the image's family"},
        {"zone*": "where", "project": "whose", "type": "the machine (e2-small)", "network": "its network"},
    ),
    "azure": Cloud(
        "vhd",
        {
            "account*": "the storage account", "container*": "where in it", "group*": "the resource group",
            "location": "where", "generation": "V1 for a BIOS, V2 for EFI",
        },
        {"group*": "the resource group", "size": "the machine (Standard_B1s)", "key": "a public key's file"},
    ),
    "openstack": Cloud(
        "qcow2-bios",
        {"firmware": "bios or uefi"},
        {"flavor*": "the machine", "network": "its network", "key": "a key pair's name"},
    ),
    "vmware": Cloud(
        "vmdk",
        {"datastore": "where", "pool": "the resource pool"},
        {
            "datastore": "where", "pool": "the resource pool", "network": "its network",
            "cpus": "how many (1)", "memory": "MiB (1024)",
        },
    ),
    "virtualbox": Cloud(
        "raw-bios",
        {},
        {
            "cpus": "how many (1)", "memory": "MiB (1024)", "firmware": "bios or efi",
            "publish": "HOST:GUEST, a port of it",
        },
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """One thing that is asked: `file` is a disk to push, `data` what a new machine is told."""

    cloud: str
    name: str
    file: Path | None = None
    data: Path | None = None
    force: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    def option(self, name: str, default: str = "") -> str:
        """An option, or what it is without."""
        return self.options.get(name, default)


def read_options(cloud: str, verb: str, words: Sequence[str]) -> dict[str, str]:
    """Options from `NAME=VALUE`. Raises InvalidParameter for one that is unknown or missing."""
    table = CLOUDS[cloud].push if verb == "push" else CLOUDS[cloud].run
    known = {name.rstrip("*"): name.endswith("*") for name in table}
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f" (did you mean {near[0]!r}?)" if near else ""
            raise InvalidParameter(
                f"{cloud} has no option {name!r}{meant}", hint=f"known: {', '.join(known)}"
            )
        if not equals or not value:
            raise InvalidParameter(f"{word!r} is no option", hint=f"{name}=VALUE")
        found[name] = value
    missing = [name for name, needed in known.items() if needed and name not in found]
    if missing:
        raise InvalidParameter(f"{cloud} needs {', '.join(missing)}", hint=f"-o {missing[0]}=VALUE")
    return found
