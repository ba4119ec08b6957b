"""mobyd's command line: what it prints, its exit status, and what a reload takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moby.cli.daemon import reload, run
from moby.cli.flags import CommandLine
from moby.core.config import ConfigSource
from moby.core.errors import InvalidParameter
from moby.engine.config import EngineConfig


@pytest.fixture(autouse=True)
def _no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("moby.cli.daemon_json.DEFAULT_PATH", tmp_path / "none")


@pytest.mark.parametrize(("words", "beginning"), [
    (["--version"], "Docker version "), (["-v"], "Docker version "), (["--help"], "Usage: mobyd"),
    (["-h"], "Usage: mobyd"), (["--validate"], "configuration OK"),
    (["--validate", "--debug", "--label", "a=b"], "configuration OK"),
])  # fmt: skip
def test_questions_are_answered(words: list[str], beginning: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 0
    said = capsys.readouterr()
    assert said.out.startswith(beginning)
    assert said.err == ""


def test_wrong_usage_is_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--nonsense"]) == 2
    assert capsys.readouterr().err == "unknown flag: --nonsense\nSee 'mobyd --help'.\n"


@pytest.mark.parametrize(("words", "said"), [
    (["--selinux-enabled"], "failed to start daemon: the setting selinux-enabled is not supported yet"),
    (["--label", "a"], "failed to start daemon: bad attribute format: a"),
    (["--userland-proxy-path", "p"],
     "failed to start daemon: invalid userland-proxy-path: must be an absolute path: p"),
    (["--network-diagnostic-port", "80"],
     "failed to start daemon: the setting network-diagnostic-port is not supported yet"),
    (["--nri-opts", "enable=true"], "failed to start daemon: the setting nri-opts is not supported yet"),
    (["--config-file", "/nowhere/d.json"],
     "failed to start daemon: unable to configure the Docker daemon with file /nowhere/d.json: "
     "open /nowhere/d.json: no such file or directory"),
])  # fmt: skip
def test_a_wrong_configuration_is_one_and_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--validate", *words]) == 1
    assert capsys.readouterr().err == said + "\n"


def test_flag_and_file_in_conflict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "d.json").write_text('{"debug": false}')
    assert run(["--validate", "--config-file", str(tmp_path / "d.json"), "-D"]) == 1
    assert "debug: (from flag: true, from file: false)" in capsys.readouterr().err


class Reloading:
    """A running daemon's configuration, and its file."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self.path = path
        self.line = CommandLine(config_file=str(path), settings=settings)
        self.source = ConfigSource(EngineConfig(**settings))

    def __call__(self, **values: Any) -> EngineConfig:
        self.path.write_text(json.dumps(values))
        reload(self.source, self.line)
        return self.source.current


def test_a_reload_takes_what_can_change_and_leaves_the_rest(tmp_path: Path) -> None:
    daemon = Reloading(tmp_path / "d.json", data_root="/srv")
    found = daemon(
        **{
            "labels": ["a=b"],
            "max-concurrent-downloads": 9,
            "registry-mirrors": ["https://m"],
            "bip": "10.9.0.1/24",
        }
    )
    assert (found.labels, found.max_concurrent_downloads) == (("a=b",), 9)
    assert (found.registry_mirrors, found.bip, found.data_root) == (("https://m",), "", "/srv")
    assert daemon() == EngineConfig(data_root="/srv")


@pytest.mark.parametrize("values", [
    {"labels": ["c=d"], "debug": "no"}, {"labels": ["c=d"], "nonsense": 1}, {"labels": ["c=d"], "cri-containerd": True},
    {"labels": ["c=d"], "data-root": "/elsewhere"}, {"labels": ["c"]}, {"labels": ["c=d"], "runtimes": 5},
])  # fmt: skip
def test_a_refused_reload_changes_nothing(tmp_path: Path, values: dict[str, Any]) -> None:
    daemon = Reloading(tmp_path / "d.json", data_root="/srv")
    before = daemon(labels=["a=b"])
    assert daemon(**values) is before


def test_a_subscriber_may_refuse(tmp_path: Path) -> None:
    daemon = Reloading(tmp_path / "d.json")
    told: list[str] = []

    def prepare(_: EngineConfig, new: EngineConfig) -> Any:
        if new.labels == ("no=1",):
            raise InvalidParameter("no")
        return lambda: told.append(",".join(new.labels))

    daemon.source.subscribe(prepare)
    assert daemon(labels=["a=b"]).labels == ("a=b",)
    assert daemon(labels=["no=1"]).labels == ("a=b",)
    assert told == ["a=b"]


def test_a_file_that_is_gone_is_no_reload(tmp_path: Path) -> None:
    daemon = Reloading(tmp_path / "d.json")
    before = daemon(labels=["a=b"])
    (tmp_path / "d.json").unlink()
    reload(daemon.source, daemon.line)
    assert daemon.source.current is before
