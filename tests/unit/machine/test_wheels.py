"""Wheels: fetched by pip with their hashes, and unpacked without being installed."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, System
from moby.core.platform import Platform, host_platform
from moby.machine.tree import Node, Tree
from moby.machine.wheels import SITE, Wheels, python_version, unpack
from tests.unit.machine.made import shown


def wheel(folder: Path, name: str = "thing", **members: str) -> Path:
    """A wheel of pure Python; a member's name has `__` for a slash."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    texts = {f"{name}/__init__.py": "one = 1\n"} | {
        key.replace("__", "/"): text for key, text in members.items()
    }
    texts |= {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for key, text in texts.items():
            archive.writestr(key, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{key},,\n" for key in [*texts, f"{info}/RECORD"]))
    return path


def test_the_version_of_the_python_that_is_there() -> None:
    tree = Tree()
    with pytest.raises(InvalidParameter, match="but 0"):
        python_version(tree)
    tree.put("usr/lib/python3.11/os.py", Node())
    assert python_version(tree) == "3.11"


async def test_a_wheel_is_fetched_once_and_must_be_the_one_that_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = wheel(tmp_path / "index")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    wanted = tmp_path / "requirements.txt"
    wanted.write_text(f"thing==1.0 --hash=sha256:{digest}\n")
    wheels = Wheels(tmp_path / "cache", host_platform(), "3.11")
    [found] = await wheels.fetch(wanted)
    assert found.read_bytes() == path.read_bytes()
    path.unlink()
    assert await wheels.fetch(wanted) == [found]
    wheel(tmp_path / "index", thing__more="x")
    wanted.write_text(f"thing==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(System, match="the wheels cannot be fetched"):
        await wheels.fetch(wanted)
    assert [each.name for each in (tmp_path / "cache" / "wheels").iterdir()] == [found.parent.name]
    with pytest.raises(InvalidParameter, match="no wheels for linux/s390x"):
        await Wheels(tmp_path, Platform("s390x", "linux"), "3.11").fetch(wanted)


def test_what_is_in_wheels_goes_where_python_looks(tmp_path: Path) -> None:
    path = wheel(
        tmp_path,
        **{
            "thing-1.0.data/platlib/more.py": "two = 2\n",
            "thing-1.0.data/scripts/run": "no",
            "thing/empty.py": "",
        },
    )
    tree = Tree()
    unpack(tree, [path], tmp_path / "store")
    found = shown(tree)
    assert found[f"{SITE}/thing/__init__.py"] == "one = 1\n"
    assert found[f"{SITE}/more.py"] == "two = 2\n"
    assert found[f"{SITE}/thing/empty.py"] == ""
    assert not any("scripts" in name for name in found)


@pytest.mark.parametrize("name", ["../out.py", "/etc/passwd", "thing/../../out.py"])
def test_a_wheel_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    path = wheel(tmp_path, **{name: "x"})
    with pytest.raises(InvalidParameter, match="leads out of its place"):
        unpack(Tree(), [path], tmp_path / "store")


def test_what_is_no_wheel_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.whl"
    path.write_text("no")
    with pytest.raises(InvalidParameter, match=r"x\.whl cannot be read"):
        unpack(Tree(), [path], tmp_path / "store")
