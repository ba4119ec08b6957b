"""What of a component's packages is kept, and what is put to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import MobyError
from moby.machine.component_tree import component_tree
from moby.machine.recipes import matches, read_component
from moby.machine.tree import Tree
from tests.unit.machine.made import layer, member, shown

PACKAGE = layer(
    member("./usr/bin/prog", b"prog", mode=0o755), member("./usr/share/doc/prog/copyright", b"free"),
    member("./etc/certs/b.crt", b"B"), member("./etc/certs/a.crt", b"A"), member("./lib/x/y.so", b"so"),
)  # fmt: skip


def tree(folder: Path, recipe: str) -> Tree:
    component = folder / "thing"
    component.mkdir(exist_ok=True)
    (component / "build.yml").write_text(f"about: x\n{recipe}")
    (component / "script").write_text("#!/bin/sh\n")
    (folder / "prog.tar").write_bytes(PACKAGE)
    return component_tree(
        read_component(component), {"prog": folder / "prog.tar"}, {"prog": "Package: prog\n"}
    )


def test_everything_but_documentation_is_kept(tmp_path: Path) -> None:
    found = shown(tree(tmp_path, ""))
    assert {"usr/bin/prog", "lib/x/y.so", "etc/certs/a.crt"} <= set(found)
    assert not any(path.startswith("usr/share/doc/") for path in found)
    assert found["var/lib/dpkg/status.d/prog"] == "Package: prog\n"


def test_what_is_asked_for_is_kept_and_put_to_it(tmp_path: Path) -> None:
    found = tree(
        tmp_path,
        "keep: [usr/bin, all.crt]\nlinks: {usr/bin/prog: [one, /sbin/two]}\nconcatenate: {all.crt: 'etc/certs/*.crt'}\n"
        "files: [{path: script, source: script, mode: '0755'}, {path: d, directory: true, mode: '1777'},"
        " {path: l, symlink: d}, {path: c, contents: hi, uid: 5}]\n",
    )
    assert shown(found) | {"var/lib/dpkg/status.d/prog": ""} == {
        "all.crt": "AB", "c": "hi", "d": "directory", "l": "d", "sbin": "directory", "sbin/two": "/usr/bin/prog",
        "script": "#!/bin/sh\n", "usr": "directory", "usr/bin": "directory", "usr/bin/one": "/usr/bin/prog",
        "usr/bin/prog": "prog", "var": "directory", "var/lib": "directory", "var/lib/dpkg": "directory",
        "var/lib/dpkg/status.d": "directory", "var/lib/dpkg/status.d/prog": "",
    }  # fmt: skip
    script, made = found.get("script"), found.get("c")
    assert script is not None
    assert made is not None
    assert (script.mode, made.uid) == (0o755, 5)


@pytest.mark.parametrize("recipe", [
    "links: {usr/bin/gone: [x]}\n", "concatenate: {all: 'nothing/*'}\n", "files: [{path: x, source: ../../etc/passwd}]\n",
    "files: [{path: x, source: gone}]\n", "files: [{path: ../x, contents: y}]\n", "files: [{path: x, metadata: yaml}]\n",
])  # fmt: skip
def test_what_cannot_be_is_refused(recipe: str, tmp_path: Path) -> None:
    with pytest.raises(MobyError):
        tree(tmp_path, recipe)


def test_a_pattern_matches_all_below_a_directory() -> None:
    assert matches("a/b/c", ["a"])
    assert matches("a/b/c", ["a/*"])
    assert not matches("ab/c", ["a"])
