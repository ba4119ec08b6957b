"""Rules of trust: which images they are about, and what is said where nothing can be verified."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.descriptor import Descriptor
from moby.core.errors import Forbidden, MobyError
from moby.core.reference import parse_reference
from moby.framework.machine import TrustRule
from moby.machine import trust
from moby.machine.cache import ImageCache
from moby.machine.trust import Guard

TARGET = Descriptor("application/vnd.oci.image.manifest.v1+json", f"sha256:{'1' * 64}", 2)


@pytest.fixture(autouse=True)
def any_key(monkeypatch: pytest.MonkeyPatch) -> None:
    async def accepted(_key: bytes, path: Path) -> Path:
        return path

    monkeypatch.setattr(trust, "_key_file", accepted)


def guard(folder: Path, *rules: TrustRule) -> Guard:
    return Guard(rules, ImageCache(folder / "cache"), folder)


@pytest.mark.parametrize(
    ("match", "name", "wanted"),
    [
        ("quay.io/*", "quay.io/a/b:1", True),
        ("quay.io/a/b", "quay.io/a/b:1", True),
        ("quay.io/a", "quay.io/a/b:1", False),
        ("redis", "redis:7", True),
        ("docker.io/library/*", "redis:7", True),
        ("*", "moby/x", True),
        ("other", "redis", False),
    ],
)
async def test_names_match_with_and_without_what_docker_leaves_out(
    match: str, name: str, wanted: bool, tmp_path: Path
) -> None:
    rule = TrustRule(match, ["-----BEGIN PUBLIC KEY-----"])
    if wanted:
        with pytest.raises(Forbidden, match="signed by none of the keys for"):
            await guard(tmp_path, rule).check(parse_reference(name), TARGET, None)
    else:
        await guard(tmp_path, rule).check(parse_reference(name), TARGET, None)


async def test_a_key_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MobyError, match=r"cannot read the key none\.pub"):
        await guard(tmp_path, TrustRule("*", ["none.pub"])).check(parse_reference("redis"), TARGET, None)


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"critical": 1}', b'{"critical": {"image": {}}}'])
def test_what_is_no_statement_names_nothing(payload: bytes) -> None:
    assert trust._names(payload) == ""
