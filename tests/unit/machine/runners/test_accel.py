"""How processors are had."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.platform import Platform
from moby.machine.runners import accel


async def test_emulation_is_what_there_always_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await accel.choose_accel("tcg", Platform("amd64", "linux")) == "tcg"
    monkeypatch.setattr("os.access", lambda *_given: False)
    assert await accel.choose_accel("auto", Platform("amd64", "linux")) == "tcg"


async def test_a_kvm_that_hangs_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hanging = tmp_path / "qemu-system-x86_64"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(accel, "program", lambda _name: str(hanging))
    monkeypatch.setattr(accel, "PROBE_LIMIT_S", 0.2)
    monkeypatch.setattr(accel, "host_platform", lambda: Platform("amd64", "linux"))
    monkeypatch.setattr("os.access", lambda *_given: True)
    assert await accel.choose_accel("auto", Platform("amd64", "linux")) == "tcg"
    hanging.write_text("#!/bin/sh\nexit 33\n")
    monkeypatch.setattr(accel, "PROBE_LIMIT_S", 30)
    assert await accel.choose_accel("auto", Platform("amd64", "linux")) == "kvm"
