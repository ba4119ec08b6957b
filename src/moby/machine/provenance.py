"""This file is about provenance: which files came from what, as an in-toto statement (SLSA provenance v1).

No time and no host is in it: whoever builds the same machine gets the same statement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from moby import __version__
from moby.core.platform import Platform
from moby.framework.assembly import Assembly
from moby.machine.bundles import pretty
from moby.machine.cache import Image
from moby.machine.resolving import packages

BUILD_TYPE = "urn:moby:machine-build:v1"


def file_digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def statement(
    assembly: Assembly,
    path: Path,
    images: Mapping[str, Image],
    files: Iterable[Path],
    formats: Sequence[str],
    platform: Platform,
    moment: int,
) -> bytes:
    """The statement about files that were written. Reads them all: takes a while."""
    materials: list[dict[str, Any]] = []
    for name in sorted(images):
        algorithm, _, digest = images[name].target.digest.partition(":")
        material: dict[str, Any] = {"name": name, "digest": {algorithm: digest}}
        if made_of := packages(images[name]):
            material["annotations"] = {"packages": list(made_of)}
        materials.append(material)
    for file in assembly.machine.files:
        if not file.source:
            continue
        source = Path(file.source).expanduser()
        source = source if source.is_absolute() else path.resolve().parent / source
        if source.exists():
            materials.append({"name": file.source, "digest": {"sha256": file_digest(source)}})
    return pretty(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [
                {"name": each.name, "digest": {"sha256": file_digest(each)}} for each in sorted(files)
            ],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": {
                        "assembly": {"name": assembly.name, "digest": {"sha256": assembly.digest}},
                        "formats": list(formats),
                        "platform": str(platform),
                        "sourceDateEpoch": moment,
                    },
                    "resolvedDependencies": materials,
                },
                "runDetails": {"builder": {"id": "urn:moby", "version": {"moby": __version__}}},
            },
        }
    )
