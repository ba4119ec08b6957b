"""moby, the tool for assemblies."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from moby import __version__
from moby.cli.moby import run
from tests.unit.machine.made import archive, layer, member


def test_what_can_be_asked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"
    assert run(["schema"]) == 0
    assert "EngineSection" in json.loads(capsys.readouterr().out)["$defs"]
    assert run(["components"]) == 0
    assert "logs: awslogs, fluentd, gcplogs, gelf, journald, json-file" in capsys.readouterr().out
    (tmp_path / "a.yml").write_text("engine: {logs: [none]}\n")
    assert run(["check", str(tmp_path / "a.yml")]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/a.yml: 11 components, 0 images\n"


ENDS = (
    ".tar", "-kernel", "-initrd.img", "-cmdline", "-initrd.tar", "-sbom.spdx.json", "-sbom.cdx.json", "-provenance.json",
)  # fmt: skip


@pytest.mark.parametrize(("text", "said"), [
    ("engine:\n  log: x\n", "moby: a.yml:2: engine.log: unknown key 'log' (did you mean 'logs'?)"),
    ("engine:\n  logs: [none, nun]\n", "moby: a.yml:2: engine.logs: no logs component named 'nun'"),
])  # fmt: skip
def test_a_wrong_assembly_is_one_and_one_line(
    text: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "a.yml").write_text(text)
    assert run(["check", str(tmp_path / "a.yml")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(said)
    assert error.count("\n") == 1


def test_wrong_usage_is_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert run(["nonsense"]) == 2
    assert run(["--help"]) == 0
    assert run(["build", "x", "--y"]) == 2
    assert run(["build", "/gone.yml"]) == 1
    assert "moby: cannot read assembly /gone.yml" in capsys.readouterr().err


def test_a_machine_is_built_from_an_archive_beside_its_assembly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    (tmp_path / "kernel.tar").write_bytes(archive(layer(member("kernel", b"bzImage"))))
    (tmp_path / "app.tar").write_bytes(archive(layer(member("app", b"app"))))
    (tmp_path / "a.yml").write_text(
        "kernel: {image: ./kernel.tar, tar: none, cmdline: quiet}\nservices:\n - {name: app, image: ./app.tar}\n"
        "outputs: [{format: tar}, {format: kernel+initrd, compression: gzip}, {format: tar-kernel-initrd}]\n"
    )
    sums = []
    for folder, umask in (("one", 0o022), ("two", 0o077)):
        before = os.umask(umask)
        try:
            assert run(["build", str(tmp_path / "a.yml"), "-o", str(tmp_path / folder)]) == 0
        finally:
            os.umask(before)
        files = sorted((tmp_path / folder).iterdir())
        assert capsys.readouterr().out.split() == [str(tmp_path / folder / f"a{end}") for end in ENDS]
        sums.append([(path.name, path.stat().st_mode, path.read_bytes()) for path in files])
    assert sums[0] == sums[1]
    assert len(sums[0]) == 8
    assert (tmp_path / "one" / "a-kernel").read_bytes() == b"bzImage"
    assert (tmp_path / "one" / "a-initrd.img").read_bytes().startswith(b"\x1f\x8b\x08\0\0\0\0\0")


def test_what_an_output_lacks_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yml").write_text("files: [{path: a, contents: b}]\n")
    assert (
        run(["build", str(tmp_path / "a.yml"), "-o", str(tmp_path / "out"), "--cache", str(tmp_path / "c")])
        == 1
    )
    assert "a.yml: kernel+initrd: needs a kernel" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []
    assert run(["build", str(tmp_path / "a.yml"), "-f", "isobios"]) == 1
    assert "no output format 'isobios'" in capsys.readouterr().err


def test_a_lock_pins_what_is_beside_the_assembly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "app.tar").write_bytes(archive(layer(member("app", b"app"))))
    assembly = tmp_path / "a.yml"
    assembly.write_text("services:\n - {name: app, image: ./app.tar}\n")
    build = ["build", str(assembly), "-f", "tar", "-o", str(tmp_path / "out")]
    assert run([*build, "--locked"]) == 1
    assert "a.yml:2: services[0].image: ./app.tar: is not in the lock (moby lock)" in capsys.readouterr().err
    assert run(["lock", str(assembly)]) == 0
    assert run([*build, "--locked"]) == 0
    (tmp_path / "app.tar").write_bytes(archive(layer(member("app", b"another"))))
    assert run(build) == 1
    assert "in the lock" in capsys.readouterr().err
    assert run(["lock", str(assembly)]) == 0
    assert run(build) == 0


def test_the_cache_is_filled_shown_and_emptied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "app.tar").write_bytes(archive(layer(member("app", b"app")), name="app:1"))
    cache = ["cache", "--cache", str(tmp_path / "cache")]
    assert run([*cache, "import", str(tmp_path / "app.tar")]) == 0
    assert run([*cache, "ls"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == lines[1]
    assert lines[0].startswith("app:1 sha256:")
    (tmp_path / "a.yml").write_text("services:\n - {name: app, image: 'app:1'}\n")
    flags = ["--cache", str(tmp_path / "cache"), "--offline", "-f", "tar", "-o", str(tmp_path / "out")]
    assert run(["build", str(tmp_path / "a.yml"), *flags]) == 0
    assert run([*cache, "rm", "app:1"]) == 0
    assert run([*cache, "rm", "app:1"]) == 1
    assert run(["build", str(tmp_path / "a.yml"), *flags]) == 1
    assert "registries are not asked" in capsys.readouterr().err
    assert run([*cache, "clean"]) == 0
    assert not (tmp_path / "cache").exists()


def test_a_date_that_is_none_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    (tmp_path / "a.yml").write_text("files: [{path: a, contents: b}]\n")
    assert run(["build", str(tmp_path / "a.yml"), "-f", "tar"]) == 1
    assert "SOURCE_DATE_EPOCH is 'yesterday'" in capsys.readouterr().err


def test_an_assembly_may_come_by_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for text, said in (("nonsense: 1\n", "moby: -:1: nonsense: unknown key"), ("\x7f", "moby: -: ")):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        assert run(["build", "-"]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(said)
    assert run(["build", "--arch", "arm64", "--platform", "linux/amd64", "-"]) == 1
    assert "exclude each other" in capsys.readouterr().err
