"""What programs say of themselves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from moby.engine.config import EngineConfig
from moby.engine.programs import Edition, Programs, init_program, read_version


@pytest.mark.parametrize(
    ("said", "edition"),
    [
        pytest.param(
            "runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1\nspec: 1.0.2-dev\ngo: go1.19.8\n",
            Edition("runc", "1.1.5+ds1", "1.1.5+ds1-1"),
            id="runc",
        ),
        pytest.param(
            "crun version 1.8.1\ncommit: f8a096be\nrundir: /run/crun\n",
            Edition("crun", "1.8.1", "f8a096be"),
            id="crun",
        ),
        pytest.param(
            "tini version 0.19.0 - git.de40ad0\n", Edition("tini", "0.19.0", "de40ad0"), id="Docker's tini"
        ),
        pytest.param("tini version 0.19.0\n", Edition("tini", "0.19.0"), id="Debian's tini"),
        pytest.param("usage: runc [flags]\n", None, id="another program"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_a_version_is_read(said: str, edition: Edition | None) -> None:
    assert read_version(said) == edition


def program(path: Path, version: str) -> str:
    path.write_text(f"#!/bin/sh\necho asked >> {path}.asked\necho 'fake version {version}'\n")
    path.chmod(0o755)
    return str(path)


async def test_a_program_is_asked_once_until_it_is_another(tmp_path: Path) -> None:
    programs, path = Programs(), program(tmp_path / "fake", "1")
    both = await asyncio.gather(programs.edition(path), programs.edition(path))
    assert list(both) == [Edition("fake", "1")] * 2
    assert Path(f"{path}.asked").read_text().count("asked") == 1
    Path(path).unlink()
    program(tmp_path / "fake", "12")
    assert await programs.edition(path) == Edition("fake", "12")


@pytest.mark.parametrize(
    ("said", "features"),
    [
        (
            '{\n  "ociVersionMin": "1.0.0",\n  "hooks": ["prestart"]\n}',
            '{"ociVersionMin":"1.0.0","hooks":["prestart"]}',
        ),
        ("unknown command", None),
        ("{torn", None),
    ],
)
async def test_features_are_those_that_a_runtime_prints(
    tmp_path: Path, said: str, features: str | None
) -> None:
    path = tmp_path / "runtime"
    path.write_text(f"#!/bin/sh\n[ $1 = features ] && echo '{said}'\n")
    path.chmod(0o755)
    assert await Programs().features(str(path)) == features


async def test_a_program_that_is_not_there_has_no_version(tmp_path: Path) -> None:
    assert await Programs().edition(str(tmp_path / "absent")) is None


async def test_a_program_that_cannot_be_run_has_no_version(tmp_path: Path) -> None:
    path = tmp_path / "broken"
    path.write_text("\x7fELF")
    path.chmod(0o755)
    assert await Programs().edition(str(path)) is None


def test_an_init_that_was_set_is_the_only_one(tmp_path: Path) -> None:
    path = program(tmp_path / "init", "1")
    assert init_program(EngineConfig(init_path=path)) == path
    assert init_program(EngineConfig(init_path=str(tmp_path / "absent"))) is None
