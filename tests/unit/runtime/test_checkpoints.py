from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import NotImplemented
from moby.host.containerd.tasks import Shim
from moby.runtime.checkpoints import check

CRUN = "#!/bin/sh\necho 'crun version 1.8.1'; echo '+SYSTEMD {}+YAJL'\n"


def program(directory: Path, name: str, text: str) -> str:
    """A program on the path; where it is."""
    path = directory / name
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where programs are looked for."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    return tmp_path


async def test_without_criu_that_is_said(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(places))
    with pytest.raises(NotImplemented, match="need the program criu, which is not installed"):
        await check(Shim(binary="runc"))


async def test_a_kernel_that_it_cannot_run_on(places: Path) -> None:
    program(places, "criu", "#!/bin/sh\necho 'Error: no vDSO' >&2\nexit 1\n")
    with pytest.raises(NotImplemented, match="criu cannot run on this kernel: Error: no vDSO"):
        await check(Shim(binary="runc"))


async def test_a_runtime_without_it(places: Path) -> None:
    program(places, "criu", "#!/bin/sh\nexit 0\n")
    without = program(places, "crun", CRUN.format(""))
    with pytest.raises(NotImplemented, match=f"{without} was built without CRIU"):
        await check(Shim(binary=without, own=True))
    await check(Shim(binary=program(places, "other", CRUN.format("+CRIU ")), own=True))
    await check(Shim(binary=program(places, "runc", "#!/bin/sh\necho 'runc version 1.1.5'\n")))


async def test_other_shims_are_not_asked(places: Path) -> None:
    with pytest.raises(NotImplemented, match=r"that io.containerd.kata.v2 runs are not supported"):
        await check(Shim("io.containerd.kata.v2"))
