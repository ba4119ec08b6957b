"""Assemblies: what is read, and where complaints point at."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter
from moby.framework.assembly import Assembly, locate, named, parse, read, usual

ORIGIN = Path(__file__).parents[3] / "assemblies" / "origin.yml"


@pytest.mark.parametrize("empty", [parse("", "empty.yml"), usual()], ids=["a file", "none"])
def test_origin_is_what_an_empty_assembly_means(empty: Assembly) -> None:
    assert [(one.component, dict(one.settings)) for one in read(ORIGIN).chosen] == [
        (one.component, dict(one.settings)) for one in empty.chosen
    ]


def test_a_component_may_have_settings() -> None:
    assembly = parse("engine:\n  logs:\n    - none\n    - json-file: {x: 1}\n", "a.yml")
    found = assembly.of("logs")
    assert [one.component.name for one in found] == ["none", "json-file"]
    assert found[1].settings == {"x": 1}
    assert found[1].where.startswith("a.yml:4")


@pytest.mark.parametrize(("text", "where", "words"), [
    ("engine:\n  storage: sqlite\n", "a.yml:2: engine.storage", "unknown"),
    ("machine: {}\n", "a.yml:1: machine", "unknown"),
    ("engine:\n  logs: json-file\n", "a.yml:2: engine.logs", "array"),
    ("engine:\n  volumes:\n    - local\n    - 5\n", "a.yml:4", "engine.volumes"),
    ("engine:\n  runtime: containred\n", "a.yml:2: engine.runtime", "containred"),
    ("engine:\n  logs:\n    - json-fil\n", "a.yml:3", "json-fil"),
    ("engine: [\n", "a.yml:2", ""),
    ("- engine\n", "a.yml:1", ""),
])  # fmt: skip
def test_complaints_name_file_line_and_key(text: str, where: str, words: str) -> None:
    with pytest.raises(InvalidParameter) as error:
        parse(text, "a.yml")
    assert error.value.message.startswith(where)
    assert words in error.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="no such file or directory"):
        read(tmp_path / "none.yml")


def test_a_missing_file_named_as_one_that_ships_is_told_of_it() -> None:
    with pytest.raises(InvalidParameter) as caught:
        read(Path("origin"))
    assert caught.value.hint is not None
    assert caught.value.hint.endswith("assemblies/origin.yml")


def test_a_near_name_is_suggested() -> None:
    with pytest.raises(InvalidParameter, match="did you mean 'containerd'"):
        parse("engine:\n  runtime: containred\n", "a.yml")


def test_a_few_lines_that_stand_for_millions_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 9)]
    with pytest.raises(InvalidParameter, match=r"a\.yml: more than 100000 keys"):
        parse("\n".join(lines), "a.yml")


@pytest.mark.parametrize(
    "text", ["a: &a [*a]\n", "[" * 5000, "x: !!python/object:os.system [a]\n", "\x00", "a: b: c\n"]
)
def test_what_is_no_assembly_is_one_line(text: str) -> None:
    with pytest.raises(InvalidParameter) as error:
        parse(text, "a.yml")
    assert error.value.message.startswith("a.yml")
    assert "\n" not in error.value.message


def test_a_key_that_is_there_twice_is_told() -> None:
    with pytest.raises(InvalidParameter, match=r"a\.yml:3: services\[0\]\.image: this key is there twice"):
        parse("services:\n - {name: a, image: b,\n    image: c}\n", "a.yml")


def test_files_are_merged_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    first, later = tmp_path / "a.yml", tmp_path / "more/b.yml"
    first.write_text(
        "kernel: {image: k, cmdline: a}\nservices:\n - {name: one, image: x}\nfiles:\n - {path: p, source: s}\n"
    )
    later.write_text(
        "kernel: {cmdline: b}\nservices:\n - {name: two, image: y}\nfiles:\n - {path: q, source: s}\n"
        "engine: {logs: [none]}\n"
    )
    found = read(first, later)
    machine = found.machine
    assert machine.kernel is not None
    assert (machine.kernel.image, machine.kernel.cmdline) == ("k", "b")
    assert [service.name for service in machine.services] == ["one", "two"]
    assert [file.source for file in machine.files] == ["s", str(later.parent / "s")]
    assert [one.component.name for one in found.of("logs")] == ["none"]
    assert found.digest != read(first).digest
    assert found.wrong("services[1].name", "no").message == "b.yml:3: services[1].name: no"
    assert found.wrong("services[0].name", "no").message == "a.yml:3: services[0].name: no"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services:\n - {name: two}\n", "b.yml:2: services[1]: "),
        ("services:\n - {name: two, image: y, odd: 1}\n", "b.yml:2: services[1].odd: unknown key"),
        ("services: 5\n", "b.yml:1: services: "),
        ("- list\n", "b.yml:1: document: "),
    ],
)
def test_what_is_wrong_in_a_later_file_is_found_there(tmp_path: Path, text: str, said: str) -> None:
    first, later = tmp_path / "a.yml", tmp_path / "b.yml"
    first.write_text("kernel: {image: k}\nservices:\n - {name: one, image: x}\n")
    later.write_text(text)
    with pytest.raises(InvalidParameter) as failure:
        read(first, later)
    assert failure.value.message.startswith(said)


def test_assemblies_by_name_and_by_path() -> None:
    assert locate("origin").name == "origin.yml"
    assert locate("mine.yml") == Path("mine.yml")
    assert locate("/a/b") == Path("/a/b")
    with pytest.raises(InvalidParameter, match="no assembly named 'nothing'"):
        locate("nothing")
    assert named("") == usual()
