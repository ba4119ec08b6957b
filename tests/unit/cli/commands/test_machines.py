"""Machines that run by themselves, as a user asks for them: words that are wrong change nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from moby.cli.moby import run
from moby.machine.runners.states import Machine, State


@pytest.mark.parametrize(("words", "status", "said"), [
    (["m", "--memory", "0"], 2, "'0' is no number of them"),
    (["m", "--cpus", "many"], 2, "'many' is no number of them"),
    (["m", "--disk", ",size=1G"], 1, "what is 'file='?"),
    (["m", "--disk", "x,size=big"], 1, "'big' is no size"),
    (["m", "--publish", "80"], 1, "'80' is no port to publish"),
    (["m", "--network", "bridge"], 1, "'bridge' is no network"),
    (["m", "--network", "none", "-p", "80:80"], 1, "ports are not published on the network none"),
    (["m", "--share", "/gone:x"], 1, "there is no folder /gone"),
    (["m", "--vsock", "1"], 1, "1 is no number for vsock"),
    (["m", "--data", "x", "--data-file", "y"], 1, "--data and --data-file exclude each other"),
    (["m", "--data-file", "/gone"], 1, "cannot read /gone"),
    (["m", "--name", "../up"], 1, "'../up' is no name of a machine"),
    (["m", "more.yml"], 1, "only assemblies are merged"),
    (["m"], 1, "there is no"),
])  # fmt: skip
def test_what_cannot_be_run_is_one_line(
    words: list[str],
    status: int,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = [
        "--accel",
        "tcg",
        "--detach",
        "--state",
        str(tmp_path / "state"),
        "--cache",
        str(tmp_path / "cache"),
    ]
    assert run(["run", *words, *flags]) == status
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert run(["ps", "--state", str(tmp_path / "state")]) == 0
    assert capsys.readouterr().out == "NAME  STATUS  MACHINE  PORTS\n"


def test_machines_that_are_not_there_or_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "execv", lambda *_given: pytest.fail("there is no port"))
    given = ["--state", str(tmp_path)]
    for words in (["logs"], ["stop"], ["start"], ["rm"], ["ssh"]):
        assert run([*words, *given, "gone"]) == 1
        assert capsys.readouterr().err == "moby: there is no machine gone (moby ps)\n"
    State(tmp_path, "web").save(Machine(["/gone"], source="web.yml", ports=["127.0.0.1:80->80/tcp"]))
    assert run(["ps", *given]) == 0
    assert "web   stopped  web.yml  127.0.0.1:80->80/tcp\n" in capsys.readouterr().out
    assert run(["ssh", *given, "web"]) == 1
    assert "port 22 of the machine web is not published" in capsys.readouterr().err
    assert run(["logs", *given, "web"]) == 1
    assert "has shown nothing" in capsys.readouterr().err
    (tmp_path / "web" / "console.log").write_text("moby: up\n")
    assert run(["logs", "--follow", *given, "web"]) == 0
    assert run(["stop", *given, "web"]) == 0
    assert run(["start", *given, "web"]) == 1
    assert run(["rm", *given, "web"]) == 0
    assert not (tmp_path / "web").exists()
