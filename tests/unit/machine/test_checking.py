"""Checks, on a machine that is a shell script."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from moby.framework.machine import Check, HttpCheck
from moby.machine import checking
from moby.machine.checking import run_checks
from moby.machine.runners.boot import Boot
from moby.machine.runners.hardware import Hardware


async def checked(
    script: str, checks: list[Check], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(checking, "command", lambda *_given, **_more: ["sh", "-c", script])
    results = await run_checks(Boot(), Hardware(), checks, folder / "console", told.append)
    assert [result.check for result in results] == checks
    # how long it took is different each time
    return [re.sub(r" \(\d+\.\d s\)$", "", line) for line in told]


async def test_the_console_is_read_as_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [Check(console="^moby: up$"), Check(console="second")]
    told = await checked(
        "echo first; echo 'moby: up\r'; echo second; exec sleep 60", checks, tmp_path, monkeypatch
    )
    assert sorted(told) == ["ok: console: ^moby: up$", "ok: console: second"]


async def test_a_machine_that_powers_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await checked("exit 0", [Check(powers_off=True)], tmp_path, monkeypatch) == ["ok: power off"]
    told = await checked("exit 3", [Check(powers_off=True)], tmp_path, monkeypatch)
    assert told == ["FAILED: power off: the machine ended with status 3"]


async def test_what_does_not_come_true_is_told_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = [Check(console="never", within=1), Check(console="panic")]
    told = await checked("echo panic; exec sleep 60", checks, tmp_path, monkeypatch)
    assert told == [
        "ok: console: panic",
        "FAILED: console: never: not within 1 s: the console does not show it",
    ]
    told = await checked("exit 1", [Check(http=HttpCheck(80))], tmp_path, monkeypatch)
    assert told == ["FAILED: http on port 80/: the machine ended with status 1"]


async def test_a_port_that_was_taken_meanwhile_is_another_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"""
    if [ -e {tmp_path}/second ]; then echo up; exec sleep 60; fi
    : > {tmp_path}/second; echo 'Could not set up host forwarding rule'; exit 1"""
    assert await checked(script, [Check(console="up")], tmp_path, monkeypatch) == ["ok: console: up"]
