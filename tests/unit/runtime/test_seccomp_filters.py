from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from moby.runtime.seccomp_filters import ANNOTATION, SeccompFilters

PROGRAM = bytes(range(64))


@pytest.fixture
def crun(tmp_path: Path) -> Path:
    """Something by that name."""
    path = tmp_path / "crun"
    path.write_text("1.8.1")
    return path


def spec(**section: Any) -> dict[str, Any]:
    """With a filter."""
    return {"annotations": {"a": "b"}, "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"} | section}}


def left(directory: Path, program: bytes) -> Path:
    """A state directory with a compiled program."""
    (directory / "seccomp.bpf").write_bytes(program)
    return directory


def test_a_program_is_given_to_specs_with_the_same_filter(crun: Path, tmp_path: Path) -> None:
    filters = SeccompFilters()
    key = filters.key(spec(), str(crun))
    assert key
    assert filters.given(spec(), key) is None
    filters.keep(key, left(tmp_path, PROGRAM))
    assert filters.given(spec(), filters.key(spec(), str(crun))) == spec() | {
        "annotations": {"a": "b", ANNOTATION: base64.b64encode(PROGRAM).decode()}
    }
    other = filters.key(spec(defaultAction="SCMP_ACT_ERRNO"), str(crun))
    assert filters.given(spec(), other) is None


def test_another_crun_compiles_for_itself(crun: Path) -> None:
    filters = SeccompFilters()
    before = filters.key(spec(), str(crun))
    crun.write_text("1.9 or later")
    assert filters.key(spec(), str(crun)) not in ("", before)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"linux": {}}, id="no-filter"),
        pytest.param({"linux": {"seccomp": None}}, id="null"),
        pytest.param(spec(flags=["SECCOMP_FILTER_FLAG_LOG"]), id="flags"),
        pytest.param(spec(listenerPath="/run/x"), id="listener"),
        pytest.param(spec() | {"annotations": {ANNOTATION: "own"}}, id="given-by-the-user"),
    ],
)
def test_what_cannot_be_kept_has_no_key(given: dict[str, Any], crun: Path) -> None:
    assert SeccompFilters().key(given, str(crun)) == ""


def test_other_runtimes_have_no_key(tmp_path: Path) -> None:
    (tmp_path / "runc").touch()
    assert SeccompFilters().key(spec(), str(tmp_path / "runc")) == ""
    assert SeccompFilters().key(spec(), str(tmp_path / "absent" / "crun")) == ""


@pytest.mark.parametrize("program", [b"", b"1234567"])
def test_what_is_no_program_is_not_kept(program: bytes, tmp_path: Path) -> None:
    filters = SeccompFilters()
    filters.keep("key", tmp_path)
    filters.keep("key", left(tmp_path, program))
    assert filters.given(spec(), "key") is None


def test_only_the_latest_are_kept(tmp_path: Path) -> None:
    filters = SeccompFilters()
    for number in range(70):
        filters.keep(str(number), left(tmp_path, PROGRAM))
    assert filters.given(spec(), "5") is None
    assert filters.given(spec(), "6") is not None
