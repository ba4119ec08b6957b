"""Bills of materials: what others require of them, and the same each time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moby.machine.cache import ImageCache
from moby.machine.inventory import Software
from moby.machine.sbom import Contents, cyclonedx, spdx
from tests.unit.machine.made import kept, layer, member

LIBC = Software("libc6", "2.36", "amd64", supplier="GNU <libc@x>")
MUSL = Software("musl", "1.2", "x86_64", "apk", "alpine", licence="MIT")


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    cache = ImageCache(tmp_path / "cache")
    one, two = (kept(cache, tmp_path, layer(member(name))) for name in ("a", "b"))
    return Contents(
        "machine", {"moby/init": (one, [LIBC]), "docker.io/library/app:1": (two, [LIBC, MUSL])}, 86400
    )


def test_spdx(contents: Contents) -> None:
    found: dict[str, Any] = json.loads(spdx(contents))
    assert (found["spdxVersion"], found["dataLicense"]) == ("SPDX-2.3", "CC0-1.0")
    assert found["creationInfo"]["created"] == "1970-01-02T00:00:00Z"
    known = {package["SPDXID"] for package in found["packages"]}
    assert len(known) == len(found["packages"]) == 5
    assert all(relation["relatedSpdxElement"] in known for relation in found["relationships"])
    assert {package["name"] for package in found["packages"]} == {
        "machine",
        "moby/init",
        "app:1",
        "libc6",
        "musl",
    }
    [libc] = [package for package in found["packages"] if package["name"] == "libc6"]
    assert libc["externalRefs"][0]["referenceLocator"] == "pkg:deb/debian/libc6@2.36?arch=amd64"
    assert libc["supplier"] == "Organization: GNU <libc@x>"


def test_cyclonedx(contents: Contents) -> None:
    found: dict[str, Any] = json.loads(cyclonedx(contents))
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.5")
    known = {part["bom-ref"] for part in found["components"]}
    assert len(known) == 4
    needs = {each["ref"]: each["dependsOn"] for each in found["dependencies"]}
    assert len(needs["machine"]) == 2
    assert all(set(needs[ref]) <= known for ref in needs)
    [musl] = [part for part in found["components"] if part["name"] == "musl"]
    assert musl["licenses"] == [{"expression": "MIT"}]


@pytest.mark.parametrize("form", [spdx, cyclonedx])
def test_the_same_machine_has_the_same_papers(form: Callable[[Contents], bytes], contents: Contents) -> None:
    again = Contents("machine", dict(reversed(list(contents.images.items()))), 86400)
    assert form(contents) == form(again)
    assert form(contents) != form(Contents("other", contents.images, 86400))
