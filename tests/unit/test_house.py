"""The rules of the house, as tests: sizes, names, docstrings, mirrored tests, light imports, documented settings."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "moby"
GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$")
FILE_LINES, FUNCTION_LINES, PUBLIC_METHODS, CONSTRUCTOR_PARAMETERS, WIRING_LINES = 500, 60, 15, 8, 150

# A name that says nothing about its contents gathers everything.
DRAWERS = {"util", "utils", "helper", "helpers", "common", "base", "misc", "manager", "impl"}
DRAWER_CLASS = re.compile(r"(Manager|Helper|Helpers|Utils|Base|Common|Impl)$")

# The project speaks of itself alone. Split, so that this file does not name them.
FOREIGN_WORDS = re.compile(
    r"/wor" r"k/|/far" r"m/|/tmp/brie" r"f|bash_job" r"s|\b(HOUSE|DESIGN|FACTS|HOSTILE|STYLE)\.m" r"d\b"
    r"|\bTOD" r"O\b|\bFIXM" r"E\b|\bXX" r"X\b"
)  # fmt: skip


def own_files(*tops: str, suffixes: tuple[str, ...] = (".py",)) -> list[Path]:
    """The files that people wrote below these folders: not the generated ones."""
    found = (path for top in tops for path in (ROOT / top).rglob("*") if path.suffix in suffixes)
    return sorted(
        path for path in found if not GENERATED.search(path.name) and "__pycache__" not in path.parts
    )


@functools.cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file, read once."""
    return ast.parse(path.read_text(), filename=str(path))


def where(path: Path, node: ast.stmt | None = None) -> str:
    """A place as an editor opens it."""
    return f"{path.relative_to(ROOT)}:{node.lineno if node else 1}"


def refuse(offenders: list[str], rule: str) -> None:
    """Fails with every offender at once, so that one run shows all there is to mend."""
    assert not offenders, f"{rule}\n  " + "\n  ".join(offenders)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def classes(path: Path) -> Iterator[ast.ClassDef]:
    """Every class of a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function without its docstring and without its tables: argument lists are there to be read."""
    skipped: set[int] = set()
    body = function.body
    if ast.get_docstring(function) is not None:
        skipped.update(range(body[0].lineno, (body[0].end_lineno or body[0].lineno) + 1))
    for node in ast.walk(function):
        if isinstance(node, ast.List | ast.Dict | ast.Tuple | ast.Set) and node.end_lineno:
            skipped.update(range(node.lineno + 1, node.end_lineno + 1))
    lines = set(range(function.lineno, (function.end_lineno or function.lineno) + 1))
    return len(lines - skipped)


def is_public(name: str) -> bool:
    """Without a leading underscore."""
    return not name.startswith("_")


def test_files_hold_one_concept() -> None:
    sizes = (
        (path, len(path.read_text().splitlines()))
        for path in own_files("src", "tests", "bench", "components")
    )
    refuse(
        [f"{where(path)} {lines} lines" for path, lines in sizes if lines > FILE_LINES],
        f"over {FILE_LINES} lines",
    )


def test_functions_fit_on_a_screen() -> None:
    found = ((path, node) for path in own_files("src", "bench", "components") for node in functions(path))
    long = [
        f"{where(path, node)} {node.name} {length(node)} lines"
        for path, node in found
        if length(node) > FUNCTION_LINES
    ]
    refuse(long, f"functions over {FUNCTION_LINES} lines")


def test_no_class_knows_everyone() -> None:
    offenders = []
    for path in own_files("src"):
        for node in classes(path):
            methods = [item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
            public = [method for method in methods if is_public(method.name)]
            if len(public) > PUBLIC_METHODS:
                offenders.append(f"{where(path, node)} {node.name} has {len(public)} public methods")
            for method in methods:
                parameters = len(method.args.args) + len(method.args.kwonlyargs) - 1
                if method.name == "__init__" and parameters > CONSTRUCTOR_PARAMETERS:
                    offenders.append(f"{where(path, method)} {node.name} takes {parameters} parameters")
    refuse(
        offenders, f"over {PUBLIC_METHODS} public methods, or {CONSTRUCTOR_PARAMETERS} constructor parameters"
    )


def test_packages_start_with_words_not_code() -> None:
    offenders = [
        f"{where(path, node)} {node.name}"
        for path in own_files("src")
        if path.name == "__init__.py"
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    refuse(offenders, "an __init__.py holds a docstring and re-exports only")


def test_every_module_says_what_it_is_about() -> None:
    silent = [
        where(path) for path in own_files("src", "bench", "components") if not ast.get_docstring(tree(path))
    ]
    refuse(silent, "no module docstring")


def test_public_names_in_core_are_documented() -> None:
    silent = []
    for path in own_files("src/moby/core"):
        if "types" in path.relative_to(SOURCE).parts:
            continue  # the Engine API's own objects: its definition documents them
        for node in tree(path).body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if is_public(node.name) and not ast.get_docstring(node):
                silent.append(f"{where(path, node)} {node.name}")
    refuse(silent, "no docstring in core")


def test_no_drawers() -> None:
    offenders = [where(path) for path in own_files("src") if {path.stem, path.parent.name} & DRAWERS]
    for path in own_files("src"):
        offenders += [
            f"{where(path, node)} {node.name}" for node in classes(path) if DRAWER_CLASS.search(node.name)
        ]
    refuse(offenders, "a name that says nothing")


def test_unit_tests_mirror_the_source() -> None:
    unit = ROOT / "tests" / "unit"
    orphans = []
    for path in unit.rglob("test_*.py"):
        # Those at the top are about the repository.
        if path.parent == unit:
            continue
        subject = SOURCE / path.relative_to(unit).parent / path.stem.removeprefix("test_")
        if not (subject.with_suffix(".py").exists() or (subject / "__init__.py").exists()):
            orphans.append(where(path))
    refuse(orphans, "a unit test without the module it is named after")


def test_the_project_speaks_of_itself_alone() -> None:
    tops = ("src", "tests", "bench", "components", "docs", "assemblies", "scripts", ".ci")
    files = own_files(*tops, suffixes=(".py", ".md", ".yml", ".sh", ".proto", ".toml"))
    files += [
        path for path in ROOT.iterdir() if path.suffix in {".md", ".toml", ".lock"} or path.name == "Makefile"
    ]
    offenders = [
        f"{path.relative_to(ROOT)}:{number} {match.group()}"
        for path in files
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if (match := FOREIGN_WORDS.search(line))
    ]
    refuse(offenders, "words that do not belong here")


def test_wiring_stays_a_list() -> None:
    for wiring in (SOURCE / "engine").rglob("wiring.py"):
        lines = len(wiring.read_text().splitlines())
        assert lines <= WIRING_LINES, (
            f"{where(wiring)} has {lines} lines; it names services, it does not think"
        )


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        pytest.param(
            "moby.core", {"asyncio", "aiohttp", "grpc", "msgspec", "pyroute2", "sqlite3"}, id="core"
        ),
        pytest.param(
            "moby.monitor.server", {"asyncio", "aiohttp", "grpc", "pyroute2", "sqlite3", "ssl"}, id="monitor"
        ),
        pytest.param("moby.images", {"grpc", "pyroute2", "sqlite3"}, id="images"),
        pytest.param("moby.networks", {"grpc", "sqlite3", "aiohttp"}, id="networks"),
        pytest.param("moby.volumes", {"grpc", "pyroute2", "aiohttp"}, id="volumes"),
        pytest.param("moby.logs", {"grpc", "pyroute2", "aiohttp", "sqlite3"}, id="logs"),
        pytest.param(
            "moby.cli.daemon", {"asyncio", "grpc", "pyroute2", "aiohttp", "sqlite3", "yaml"}, id="mobyd"
        ),
        pytest.param(
            "moby.engine.containerd_child",
            {"asyncio", "grpc", "aiohttp", "sqlite3", "ssl", "yaml"},
            id="containerd is begun",
        ),
        pytest.param(
            "moby.api.server",
            {"grpc", "pyroute2", "sqlite3", "aiohttp.client", "aiohttp.connector", "aiohttp.web"},
            id="api",
        ),
        pytest.param(
            "moby.engine.assembled",
            {"aiohttp", "yaml", "pyroute2.iproute", "http.client", "moby.machine", "moby.testing"},
            id="engine",
        ),
    ],
)
def test_a_part_is_usable_alone_and_light(module: str, heavy: set[str]) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert not loaded & heavy, f"importing {module} brings {sorted(loaded & heavy)}"


def test_what_the_daemon_loads_has_no_dataclasses() -> None:
    """Making one runs generated code, 0.3 ms each at every start; a `msgspec.Struct` takes 0.01 ms."""
    offenders = [
        where(path, node)
        for path in own_files("src")
        if path.relative_to(SOURCE).parts[0] not in ("cli", "machine", "testing")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and node.module == "dataclasses"
    ]
    refuse(offenders, "a dataclass in what the daemon loads: use msgspec.Struct")


def headings() -> set[str]:
    """Every heading of the reference pages, without markup."""
    pages = (ROOT / "docs" / "reference").glob("*.md")
    lines = (line for page in pages for line in page.read_text().splitlines() if line.startswith("#"))
    return {line.lstrip("#").replace("`", "").strip() for line in lines}


def flags() -> set[str]:
    """Every flag of mobyd, as its own help lists them."""
    done = subprocess.run(
        [sys.executable, "-m", "moby.cli.mobyd", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"^\s*(?:-\w, *)?(--[a-z0-9][a-z0-9-]*)", done.stdout, re.MULTILINE))


def test_every_flag_has_a_heading_in_the_reference() -> None:
    known = {word for heading in headings() for word in heading.replace(",", " ").split()}
    found = flags()
    assert "--data-root" in found, "the help lists no flags"
    refuse(sorted(found - known - {"--help"}), "not in docs/reference")


def test_every_test_that_the_page_on_hostile_input_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/hostile-input.md").read_text())
    assert named
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)
    ]
    assert not missing
