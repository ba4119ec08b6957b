"""This file is about `moby`, the tool for assemblies."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

import msgspec

from moby import __version__
from moby.core.errors import MobyError

# Each is a module of `moby.cli.commands`; one that has several commands says so by `module`.
COMMANDS = (
    "build",
    "run",
    "machines",
    "certs",
    "test",
    "inspect",
    "diff",
    "lock",
    "component",
    "cache",
    "metadata",
    "cloud",
    "container",
    "image",
    "volume",
)


def main() -> None:
    """Run moby; never returns."""
    sys.exit(run(sys.argv[1:]))


def parser() -> argparse.ArgumentParser:
    """Every command with its flags."""
    found = argparse.ArgumentParser(
        prog="moby", description="Assemblies: check them, build machines of them."
    )
    found.add_argument("--version", action="version", version=f"moby {__version__}")
    verbs = found.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    verbs.add_parser("version", help="print the version")
    verbs.add_parser("schema", help="print the JSON schema of an assembly")
    verbs.add_parser("components", help="list the components that ship")
    check = verbs.add_parser("check", help="check an assembly")
    check.add_argument("file", type=Path, metavar="FILE")
    for name in COMMANDS:
        import_module(f"moby.cli.commands.{name}").add(verbs)
    return found


def run(arguments: list[str]) -> int:
    """The exit status of `moby ARGUMENTS`: 0, 1 (failed, one clear line) or 2 (usage)."""
    try:
        chosen = parser().parse_args(arguments)
    except SystemExit as error:
        return int(error.code or 0)
    try:
        if said := _do(chosen):
            return _said(said)
    except MobyError as error:
        return _failed(error)
    except ExceptionGroup as group:
        # What failed side by side: the first tells enough.
        failure = _first(group)
        if failure is None:
            raise
        return _failed(failure)
    except KeyboardInterrupt:
        print("moby: interrupted", file=sys.stderr)
        return 1
    return 0


def _said(text: str) -> int:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Who reads has read enough; nothing is to be said at the end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _failed(error: MobyError) -> int:
    hint = f" ({error.hint})" if error.hint else ""
    print(f"moby: {error.message}{hint}", file=sys.stderr)
    return 1


def _first(error: Exception) -> MobyError | None:
    if isinstance(error, ExceptionGroup):
        return next((found for each in error.exceptions if (found := _first(each))), None)
    return error if isinstance(error, MobyError) else None


def _do(chosen: argparse.Namespace) -> str:
    from moby.framework.assembly import schema
    from moby.framework.builtins import BUILTINS

    match chosen.verb:
        case "version":
            return __version__
        case "schema":
            return msgspec.json.format(msgspec.json.encode(schema())).decode()
        case "components":
            return "\n".join(f"{role}: {', '.join(names) or '-'}" for role, names in BUILTINS.items())
        case "check":
            from moby.machine.building import read_machine

            assembly = read_machine(chosen.file)
            images = len(assembly.machine.images())
            return f"{chosen.file}: {len(assembly.chosen)} components, {images} images"
        case verb:
            module = getattr(chosen, "module", verb)
            said: str = import_module(f"moby.cli.commands.{module}").do(chosen)
            return said


if __name__ == "__main__":
    main()
