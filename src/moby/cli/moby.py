"""This file is about `moby`, the tool for assemblies."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from moby import __version__
from moby.cli import container
from moby.core.errors import MobyError


def main() -> None:
    """Run moby; never returns."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit status of `moby ARGUMENTS`: 0, 1 (failed, one clear line) or 2 (usage)."""
    parser = argparse.ArgumentParser(prog="moby", description="Check and use assemblies.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    verbs.add_parser("version", help="print the version")
    verbs.add_parser("schema", help="print the JSON schema of an assembly")
    verbs.add_parser("components", help="list the components that ship")
    check = verbs.add_parser("check", help="check an assembly")
    check.add_argument("file", type=Path)
    container.add(verbs)
    for verb in ("build", "run"):
        later = verbs.add_parser(verb, help="not supported yet")
        later.add_argument("arguments", nargs=argparse.REMAINDER)
    try:
        chosen = parser.parse_args(arguments)
    except SystemExit as error:
        return int(error.code or 0)
    try:
        print(_do(chosen))
    except MobyError as error:
        hint = f" ({error.hint})" if error.hint else ""
        print(f"moby: {error.message}{hint}", file=sys.stderr)
        return 1
    return 0


def _do(chosen: argparse.Namespace) -> str:
    from moby.framework.assembly import read, schema
    from moby.framework.builtins import BUILTINS

    match chosen.verb:
        case "version":
            return __version__
        case "schema":
            return msgspec.json.format(msgspec.json.encode(schema())).decode()
        case "components":
            return "\n".join(f"{role}: {', '.join(names) or '-'}" for role, names in BUILTINS.items())
        case "check":
            assembly = read(chosen.file)
            return f"{chosen.file}: {len(assembly.chosen)} components"
        case "container":
            return container.run(chosen)
        case verb:
            raise MobyError(f"'{verb}' is not supported yet")


if __name__ == "__main__":
    main()
