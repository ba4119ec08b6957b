"""This file is about seccomp filters that crun has compiled once: kept, and given to it again.

Compiling docker's default profile takes crun a quarter of the time in which it makes a container. It leaves
the program it compiled in `<state>/<id>/seccomp.bpf`, and takes one in an annotation instead of compiling.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

# crun(1), "run.oci.seccomp_bpf_data": base64 of what seccomp(2) takes; the section is then ignored.
ANNOTATION = "run.oci.seccomp_bpf_data"
_LIMIT = 64
_LARGEST = 1 << 20
# What the compiled program does not contain, so that the section itself has to be read.
_BESIDE_THE_PROGRAM = ("listenerPath", "listenerMetadata", "flags")


class SeccompFilters:
    """Compiled programs by the section they were compiled from and the crun that did it; the latest 64."""

    def __init__(self) -> None:
        self._programs: OrderedDict[str, str] = OrderedDict()

    def key(self, spec: Mapping[str, Any], binary: str) -> str:
        """Names the program for a spec; empty if it has none, or one that cannot be kept."""
        section = (spec.get("linux") or {}).get("seccomp")
        if not section or ANNOTATION in (spec.get("annotations") or {}):
            return ""
        if Path(binary).name != "crun" or any(section.get(name) for name in _BESIDE_THE_PROGRAM):
            return ""
        try:
            status = os.stat(binary)
        except OSError:
            return ""
        data = msgspec.json.encode([section, status.st_ino, status.st_size, status.st_mtime_ns])
        return hashlib.sha256(data).hexdigest()

    def given(self, spec: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
        """The spec with its program; None if it has not been kept.

        The section stays in it: a crun that does not know the annotation compiles as ever.
        """
        program = self._programs.get(key)
        if program is None:
            return None
        self._programs.move_to_end(key)
        return {**spec, "annotations": {**(spec.get("annotations") or {}), ANNOTATION: program}}

    def keep(self, key: str, state: Path) -> None:
        """Take the program that crun has left in a container's state directory, if it has."""
        try:
            with (state / "seccomp.bpf").open("rb") as file:
                program = file.read(_LARGEST + 1)
        except OSError:
            return
        # A program is a sequence of instructions of 8 bytes each.
        if program and len(program) <= _LARGEST and len(program) % 8 == 0:
            self._programs[key] = base64.b64encode(program).decode()
            while len(self._programs) > _LIMIT:
                self._programs.popitem(last=False)
