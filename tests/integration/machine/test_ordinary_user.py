"""Somebody without any rights, in a folder of their own: components, every form of a machine, and one that runs.

What comes out is byte for byte what root gets elsewhere, at another time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.machine.machines import FORMS, Built, answers, free_ports, sums
from tests.leftovers import clear_faketime

ROOT = Path(__file__).resolve().parents[3]
SOMEBODY = 65533
_LIMIT_S = 900
_UP_LIMIT_S = 300

pytestmark = [
    pytest.mark.boots,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="machines are run on x86-64"),
    pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else"),
    pytest.mark.skipif(shutil.which("faketime") is None, reason="needs faketime"),
]


class Somebody:
    """A user whose home is all that they may write to."""

    def __init__(self, home: Path) -> None:
        self.home, self.code = home, home / "moby"
        for name in ("src", "components", "assemblies"):
            shutil.copytree(ROOT / name, self.code / name, symlinks=True)
        subprocess.run(["chown", "-R", f"{SOMEBODY}:{SOMEBODY}", home], check=True)
        self._python = next(filter(self._can_run, (sys.executable, "/usr/bin/python3")), "")

    def _can_run(self, python: str) -> bool:
        code = f"import sys; assert sys.version_info[:2] == {sys.version_info[:2]}; import msgspec, aiohttp"
        return self._call([python, "-c", code]).returncode == 0

    def _call(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        # setpriv itself may still start what its user may not.
        who = [f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups", "--no-new-privs"]
        packages = [path for path in sys.path if path.endswith("site-packages")]
        kept = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
        return subprocess.run(
            ["setpriv", *who, "env", *argv],
            env=kept | {
                "HOME": str(self.home), "PATH": "/usr/local/bin:/usr/bin:/bin", "TZ": "Asia/Tokyo",
                "PYTHONPATH": ":".join([str(self.code / "src"), *packages]), "PYTHONDONTWRITEBYTECODE": "1",
            },
            umask=0o077, cwd=self.code, capture_output=True, text=True, timeout=_LIMIT_S, check=False,
        )  # fmt: skip

    def moby(self, *words: str, later: str = "") -> str:
        """moby's command, by a clock that goes before others."""
        if not self._python:
            pytest.skip("somebody else cannot run this Python")
        clear_faketime()
        clock = ["DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1", "faketime", "-f", later] if later else []
        done = self._call([*clock, self._python, "-m", "moby.cli.moby", *words])
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def somebody() -> Iterator[Somebody]:
    # pytest's own folders are for one user alone.
    home = Path(tempfile.mkdtemp(prefix="moby-somebody-", dir="/var/tmp"))
    try:
        yield Somebody(home)
    finally:
        shutil.rmtree(home)


def test_somebody_builds_and_runs_what_root_does(somebody: Somebody, minimal: Built) -> None:
    for name in ("kernel", "init", "crun", "dhcp", "http"):
        somebody.moby("component", "build", f"components/{name}")
    asked = [word for form in FORMS for word in ("-f", form)]
    theirs = somebody.home / "made"
    words = ["build", "assemblies/minimal.yml", "-q", "--offline", "-o", str(theirs), *asked]
    somebody.moby(*words, later="+400d")
    assert sums(theirs) == minimal.sums
    assert len(minimal.sums) == len(FORMS) + 8
    [port] = free_ports(1)
    somebody.moby(
        "run", "--detach", "--name", "mine", "--accel", "tcg", "-p", f"{port}:80", str(theirs / "minimal")
    )
    try:
        end = time.monotonic() + _UP_LIMIT_S
        while not answers(port, "built by moby"):
            assert time.monotonic() < end, somebody.moby("logs", "mine")
            time.sleep(0.25)
    finally:
        somebody.moby("rm", "--force", "mine")
