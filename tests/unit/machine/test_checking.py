"""Checks, on a machine that is a shell script."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.framework.machine import Check, HttpCheck, TcpCheck
from moby.machine import checking
from moby.machine.checking import CheckFailed, run_checks
from moby.machine.runners.boot import Boot
from moby.machine.runners.hardware import Hardware


async def checked(
    script: str, checks: list[Check], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(checking, "command", lambda *_given, **_more: ["sh", "-c", script])
    await run_checks(Boot(), Hardware(), checks, folder / "console", told.append)
    return told


async def test_the_console_is_read_as_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [Check(console="^moby: up$"), Check(console="second")]
    told = await checked(
        "echo first; echo 'moby: up\r'; echo second; exec sleep 60", checks, tmp_path, monkeypatch
    )
    assert sorted(told) == ["ok: console: ^moby: up$", "ok: console: second"]


async def test_a_machine_that_powers_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await checked("exit 0", [Check(powers_off=True)], tmp_path, monkeypatch) == ["ok: power off"]
    with pytest.raises(CheckFailed, match="ended with status 3"):
        await checked("exit 3", [Check(powers_off=True)], tmp_path, monkeypatch)


async def test_what_does_not_come_true_is_told_with_the_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckFailed, match="console: never: not within 1 s; the console's last words:\npanic"):
        await checked("echo panic; exec sleep 60", [Check(console="never", within=1)], tmp_path, monkeypatch)
    with pytest.raises(CheckFailed, match="http on port 80/: the machine ended with status 1"):
        await checked("exit 1", [Check(http=HttpCheck(80))], tmp_path, monkeypatch)


async def test_a_port_that_was_taken_meanwhile_is_another_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"""
    if [ -e {tmp_path}/second ]; then echo up; exec sleep 60; fi
    : > {tmp_path}/second; echo 'Could not set up host forwarding rule'; exit 1"""
    assert await checked(script, [Check(console="up")], tmp_path, monkeypatch) == ["ok: console: up"]


async def test_a_server_that_says_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number = checking._free_port()
    monkeypatch.setattr(checking, "_free_port", lambda: number)
    program = (
        "import socketserver as s\n"
        "class H(s.StreamRequestHandler):\n"
        " def handle(self): self.wfile.write(b'got ' + self.rfile.readline())\n"
        "s.TCPServer.allow_reuse_address = True\n"
        f"s.TCPServer(('127.0.0.1', {number}), H).serve_forever()"
    )
    (tmp_path / "server.py").write_text(program)
    checks = [Check(tcp=TcpCheck(22, send="PING\n", contains="got PING"))]
    told = await checked(f"exec python3 {tmp_path}/server.py", checks, tmp_path, monkeypatch)
    assert told == ["ok: tcp on port 22"]


async def test_an_answer_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index.html").write_text("hello")
    number = checking._free_port()
    monkeypatch.setattr(checking, "_free_port", lambda: number)
    script = f"exec python3 -m http.server --bind 127.0.0.1 --directory {tmp_path} {number}"
    told = await checked(script, [Check(http=HttpCheck(80, contains="hello"))], tmp_path, monkeypatch)
    assert told == ["ok: http on port 80/"]
