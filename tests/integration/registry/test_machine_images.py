"""Images of machines from a real registry: fetched once, verified, and pinned by the lock."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from moby.cli.moby import run
from tests.integration.registry.conftest import Made, upload

pytestmark = [
    pytest.mark.registry,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the image is for amd64"),
]


@pytest.fixture
def assembly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "a.yml"


def built(assembly: Path, *flags: str) -> bytes | None:
    out = assembly.parent / "out"
    if run(["build", str(assembly), "-q", "-f", "tar", "-o", str(out), *flags]) != 0:
        return None
    return (out / "a.tar").read_bytes()


def test_an_image_is_fetched_once_and_pinned(
    start_registry: Callable[..., str], assembly: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = start_registry()
    first, second = Made({"app": b"one"}, {"more": b"1"}), Made({"app": b"two"})
    upload(f"http://{address}", "app", "1", first)
    assembly.write_text(f"services:\n - {{name: app, image: '{address}/app:1'}}\n")
    one = built(assembly)
    assert one is not None
    assert b"one" in one
    assert run(["lock", str(assembly)]) == 0
    assert first.digest in (assembly.parent / "moby.lock").read_text()
    upload(f"http://{address}", "app", "1", second)
    # What is here is not asked for again, and what is locked stays what it was.
    assert built(assembly, "--offline") == one
    assert built(assembly, "--pull") == one
    (assembly.parent / "moby.lock").unlink()
    assert built(assembly) == one
    newer = built(assembly, "--pull")
    assert newer is not None
    assert b"two" in newer
    # A fresh machine gets by the lock what its name does not stand for any more.
    (assembly.parent / "moby.lock").write_text(
        f'{{"version": 1, "images": {{"{address}/app:1": {{"digest": "{first.digest}"}}}}}}'
    )
    assert run(["cache", "clean"]) == 0
    assert built(assembly, "--locked") == one
    capsys.readouterr()


def test_what_a_registry_has_not_is_told_with_its_place(
    start_registry: Callable[..., str], assembly: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = start_registry()
    assembly.write_text(f"services:\n - name: app\n   image: {address}/gone:1\n")
    assert built(assembly) is None
    error = capsys.readouterr().err
    assert error.startswith(f"moby: a.yml:3: services[0].image: {address}/gone:1: ")
    assert error.count("\n") == 1
    upload(f"http://{address}", "other", "1", Made({"x": b""}, architecture="s390x"))
    assembly.write_text(f"services:\n - {{name: app, image: '{address}/other:1'}}\n")
    assert built(assembly) is None
    assert "is for linux/s390x, not for linux/amd64" in capsys.readouterr().err
    assembly.write_text("services:\n - {name: app, image: '127.0.0.1:1/x:1'}\n")
    assert built(assembly) is None
    assert capsys.readouterr().err.count("\n") == 1
