"""This file is about bills of materials: what is in a machine, as SPDX and as CycloneDX."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moby import __version__
from moby.core.reference import familiar
from moby.machine.bundles import pretty
from moby.machine.cache import Image
from moby.machine.inventory import Software

_NAMESPACE = uuid.UUID("6d6f6279-0000-4000-8000-000000000005")
_UNKNOWN = "NOASSERTION"


@dataclass(frozen=True, slots=True)
class Contents:
    """A machine's images, each with the software that is in it."""

    name: str
    images: Mapping[str, tuple[Image, Sequence[Software]]]
    moment: int = 0

    @property
    def identity(self) -> uuid.UUID:
        """A number that depends on the contents alone."""
        parts = [self.name, *(f"{name}@{image.target.digest}" for name, (image, _all) in self.sorted())]
        return uuid.uuid5(_NAMESPACE, "\n".join(parts))

    @property
    def date(self) -> str:
        """The machine's date."""
        return datetime.fromtimestamp(self.moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def sorted(self) -> list[tuple[str, tuple[Image, Sequence[Software]]]]:
        """The images by their names."""
        return sorted(self.images.items())


def spdx(contents: Contents) -> bytes:
    """SPDX 2.3, as JSON."""
    machine = _spdx_id("machine", contents.name)
    packages: dict[str, dict[str, Any]] = {machine: _spdx_package(machine, contents.name, "")}
    relations = [_relation("SPDXRef-DOCUMENT", "DESCRIBES", machine)]
    for name, (image, every) in contents.sorted():
        known = _spdx_id("image", image.target.digest)
        packages[known] = _spdx_package(known, familiar(name), image.target.digest, image_purl(name, image))
        relations.append(_relation(machine, "CONTAINS", known))
        for each in every:
            part = _spdx_id("package", each.purl)
            packages[part] = _spdx_package(part, each.name, each.version, each.purl, each)
            relations.append(_relation(known, "CONTAINS", part))
    return pretty(
        {
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": contents.name,
            "documentNamespace": f"urn:uuid:{contents.identity}",
            "creationInfo": {"created": contents.date, "creators": [f"Tool: moby-{__version__}"]},
            "packages": [packages[key] for key in sorted(packages)],
            "relationships": _unique(relations),
        }
    )


def _unique(relations: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    found = {tuple(sorted(each.items())): each for each in relations}
    return [found[key] for key in sorted(found)]


def _spdx_id(kind: str, text: str) -> str:
    words = re.sub(r"[^A-Za-z0-9.]+", "-", text)[:60].strip("-")
    return f"SPDXRef-{kind}-{words}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _relation(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def _spdx_package(
    known: str, name: str, version: str, purl: str = "", about: Software | None = None
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "SPDXID": known,
        "name": name,
        "downloadLocation": _UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": _UNKNOWN,
        "licenseDeclared": _UNKNOWN,
        "copyrightText": _UNKNOWN,
    }
    if version:
        found["versionInfo"] = version
    if about is not None and about.supplier:
        found["supplier"] = f"Organization: {about.supplier}"
    if purl:
        reference = {
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": purl,
        }
        found["externalRefs"] = [reference]
    return found


def image_purl(name: str, image: Image) -> str:
    """An image's package URL, by its digest."""
    plain = familiar(name).partition("@")[0]
    last = plain.rpartition("/")[2].partition(":")[0]
    return f"pkg:oci/{last.lower()}@{image.target.digest.replace(':', '%3A')}"


def cyclonedx(contents: Contents) -> bytes:
    """CycloneDX 1.5, as JSON."""
    parts: dict[str, dict[str, Any]] = {}
    needs: dict[str, set[str]] = {"machine": set()}
    for name, (image, every) in contents.sorted():
        known = image_purl(name, image)
        needs["machine"].add(known)
        needs.setdefault(known, set()).update(each.purl for each in every)
        digest = image.target.digest.partition(":")[2]
        parts[known] = {
            "type": "container",
            "bom-ref": known,
            "name": familiar(name),
            "version": image.target.digest,
            "purl": known,
            "hashes": [{"alg": "SHA-256", "content": digest}],
        }
        for each in every:
            parts[each.purl] = {
                "type": "library",
                "bom-ref": each.purl,
                "name": each.name,
                "version": each.version,
                "purl": each.purl,
            }
            if each.licence:
                parts[each.purl]["licenses"] = [{"expression": each.licence}]
    return pretty(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "serialNumber": f"urn:uuid:{contents.identity}",
            "version": 1,
            "metadata": {
                "timestamp": contents.date,
                "tools": {"components": [{"type": "application", "name": "moby", "version": __version__}]},
                "component": {"type": "operating-system", "bom-ref": "machine", "name": contents.name},
            },
            "components": [parts[key] for key in sorted(parts)],
            "dependencies": [{"ref": key, "dependsOn": sorted(needs[key])} for key in sorted(needs)],
        }
    )
