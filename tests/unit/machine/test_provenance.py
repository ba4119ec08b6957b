"""Provenance: every file that came out, everything that went in, and no time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from moby.core.platform import Platform
from moby.framework.assembly import read
from moby.machine.cache import ImageCache
from moby.machine.provenance import statement
from tests.unit.machine.made import kept, layer, member


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_statement_names_what_went_in_and_what_came_out(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text(
        "init: [app]\nfiles:\n - {path: x, source: own}\n - {path: y, source: gone, optional: true}\n"
    )
    (tmp_path / "own").write_text("own")
    (tmp_path / "out.tar").write_text("out")
    cache = ImageCache(tmp_path / "cache")
    labels = {"Labels": {"org.mobyproject.packages": "a=1 b=2"}}
    image = kept(cache, tmp_path, layer(member("x")), config=labels)
    given = (read(path), path, {"app": image}, [tmp_path / "out.tar"], ["tar"], Platform("amd64", "linux"), 5)
    found = json.loads(statement(*given))
    assert found["subject"] == [{"name": "out.tar", "digest": {"sha256": sha256("out")}}]
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    built = found["predicate"]["buildDefinition"]
    assert built["externalParameters"]["assembly"]["digest"] == {"sha256": sha256(path.read_text())}
    assert built["resolvedDependencies"] == [
        {
            "name": "app",
            "digest": {"sha256": image.target.digest.partition(":")[2]},
            "annotations": {"packages": ["a=1", "b=2"]},
        },
        {"name": "own", "digest": {"sha256": sha256("own")}},
    ]
    assert statement(*given) == statement(*given)
