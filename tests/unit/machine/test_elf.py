"""Programs of a few hundred bytes, and what they need."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from moby.core.errors import InvalidParameter, NotFound
from moby.machine.component_tree import component_tree
from moby.machine.elf import Needs, needs, with_needs, without_symbols
from moby.machine.recipes import Component, Recipe
from moby.machine.streams import tar_stream
from moby.machine.tree import Node, Tree

ADDRESS = 0x400000


def program(*libraries: str, interpreter: str = "", wide: bool = True, order: str = "<") -> bytes:
    """An ELF file that names these; its names lie at another address than place."""
    names = b"\0"
    places = []
    for library in libraries:
        places.append(len(names))
        names += library.encode() + b"\0"
    entry = f"{order}{'qQ' if wide else 'iI'}"
    header, segment = (64, 56) if wide else (52, 32)
    names_at = header + 3 * segment
    interpreter_at = names_at + len(names)
    dynamic_at = interpreter_at + len(interpreter) + 1
    dynamic = b"".join(struct.pack(entry, 1, place) for place in places)
    dynamic += struct.pack(entry, 5, ADDRESS + names_at) + struct.pack(entry, 0, 0)
    whole = dynamic_at + len(dynamic)

    def one(kind: int, offset: int, size: int) -> bytes:
        at = ADDRESS + offset
        if wide:
            return struct.pack(f"{order}IIQQQQQQ", kind, 4, offset, at, at, size, size, 8)
        return struct.pack(f"{order}IIIIIIII", kind, offset, at, at, size, size, 4, 4)

    segments = [one(1, 0, whole), one(2, dynamic_at, len(dynamic))]
    segments.append(one(3, interpreter_at, len(interpreter) + 1) if interpreter else one(0, 0, 0))
    start = bytes([0x7F, *b"ELF", 2 if wide else 1, 1 if order == "<" else 2, 1]).ljust(16, b"\0")
    word = "Q" if wide else "I"
    start += struct.pack(f"{order}HHI3{word}I6H", 2, 62, 1, 0, header, 0, 0, header, segment, 3, 0, 0, 0)
    return start + b"".join(segments) + names + interpreter.encode() + b"\0" + dynamic


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_libraries_and_interpreter_are_read(wide: bool, order: str) -> None:
    data = program("libc.so.6", "libm.so.6", interpreter="/lib64/ld.so.2", wide=wide, order=order)
    assert needs(data) == Needs("/lib64/ld.so.2", ("libc.so.6", "libm.so.6"))


def test_a_static_program_and_a_script_need_nothing() -> None:
    assert needs(program()) == Needs()
    assert needs(b"#!/bin/sh\n") == Needs()
    assert needs(b"") == Needs()


def test_a_cut_file_is_refused_and_never_misread() -> None:
    whole = program("libc.so.6", interpreter="/lib64/ld.so.2")
    for length in range(64, len(whole) - 16):
        try:
            found = needs(whole[:length])
        except InvalidParameter:
            continue
        assert found in (Needs(), Needs("/lib64/ld.so.2"), needs(whole))


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_what_is_not_loaded_is_left_out(wide: bool, order: str) -> None:
    whole = program("libc.so.6", interpreter="/lib64/ld.so.2", wide=wide, order=order)
    with_symbols = bytearray(whole + b"symbols" * 100)
    struct.pack_into(f"{order}{'Q' if wide else 'I'}", with_symbols, 40 if wide else 32, len(whole))
    struct.pack_into(f"{order}HH", with_symbols, 60 if wide else 48, 7, 6)
    assert without_symbols(bytes(with_symbols)) == whole
    assert without_symbols(whole) == whole


def test_what_is_no_program_stays_as_it_is() -> None:
    assert without_symbols(b"#!/bin/sh\n") == b"#!/bin/sh\n"
    assert without_symbols(b"") == b""
    with pytest.raises(InvalidParameter, match="no whole ELF file"):
        without_symbols(program()[:80])


def test_a_library_without_symbols_can_still_be_loaded(tmp_path: Path) -> None:
    native = Path(msgspec._core.__file__)
    data = native.read_bytes()
    smaller = without_symbols(data)
    assert len(smaller) < len(data)
    (tmp_path / native.name).write_bytes(smaller)
    code = (
        "import importlib.util, sys; spec = importlib.util.spec_from_file_location('msgspec._core', sys.argv[1]);"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module); print(module.Struct)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / native.name], capture_output=True, text=True, check=True
    )
    assert "Struct" in done.stdout


def machine_tree() -> Tree:
    tree = Tree()
    tree.put("bin/tool", Node(content=program("libone.so.1", interpreter="/lib64/ld.so.2")))
    tree.put("bin/alias", Node("symlink", target="tool"))
    tree.put("usr/lib/x86_64-linux-gnu/libone.so.1", Node("symlink", target="libone.so.1.2"))
    tree.put("usr/lib/x86_64-linux-gnu/libone.so.1.2", Node(content=program("libtwo.so")))
    tree.put("lib/x86_64-linux-gnu/libtwo.so", Node(content=program()))
    tree.put("lib/x86_64-linux-gnu/ld.so.2", Node(content=program()))
    tree.put("lib64/ld.so.2", Node("symlink", target="/lib/x86_64-linux-gnu/ld.so.2"))
    tree.put("lib/x86_64-linux-gnu/other.so", Node(content=program()))
    return tree


def test_what_is_needed_is_followed_through_links_and_libraries() -> None:
    assert with_needs(machine_tree(), ["bin/alias"]) == {
        "bin/alias",
        "bin/tool",
        "usr/lib/x86_64-linux-gnu/libone.so.1",
        "usr/lib/x86_64-linux-gnu/libone.so.1.2",
        "lib/x86_64-linux-gnu/libtwo.so",
        "lib/x86_64-linux-gnu/ld.so.2",
        "lib64/ld.so.2",
    }


def test_a_library_that_is_nowhere_is_named() -> None:
    tree = machine_tree()
    tree.remove("lib/x86_64-linux-gnu/libtwo.so")
    with pytest.raises(NotFound, match=r"libone.so.1.2 needs libtwo.so, which is in none"):
        with_needs(tree, ["bin/tool"])


def test_a_component_keeps_its_programs_with_their_libraries_alone(tmp_path: Path) -> None:
    archive = tmp_path / "tool.tar"
    archive.write_bytes(b"".join(tar_stream(machine_tree())))
    empty = tmp_path / "empty.tar"
    empty.write_bytes(b"".join(tar_stream(Tree())))
    recipe = Recipe(about="x", programs=["bin/to*"], keep=["etc/none"])
    tree = component_tree(
        Component("c", tmp_path, recipe),
        {"tool": archive, "empty": empty},
        {"tool": "Package: tool\n", "empty": "Package: empty\n"},
    )
    assert tree.get("bin/tool") is not None
    assert tree.get("lib/x86_64-linux-gnu/other.so") is None
    assert tree.children("var/lib/dpkg/status.d") == ["var/lib/dpkg/status.d/tool"]
    with pytest.raises(NotFound, match="nothing matches bin/missing"):
        component_tree(
            Component("c", tmp_path, Recipe(about="x", programs=["bin/missing"])), {"tool": archive}, {}
        )
