"""Generates the gRPC messages from their .proto files, whichever way the package is built.

`python setup.py generate` does that alone; every build and every editable installation does it first.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from setuptools import Command, setup
from setuptools.command.build_py import build_py

SOURCE = Path(__file__).resolve().parent / "src"


def generate() -> None:
    """Write a module and its types beside each .proto file; what is up to date is left alone."""
    protos = sorted(SOURCE.glob("moby/**/*.proto"))
    try:
        from grpc_tools import protoc
    except ImportError:
        # A source distribution brings what was generated.
        if all(proto.with_name(f"{proto.stem}_pb2.py").exists() for proto in protos):
            return
        raise
    include = Path(protoc.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as made:
        argv = [
            "protoc",
            f"-I{SOURCE}",
            f"-I{include}",
            f"--python_out={made}",
            f"--pyi_out={made}",
            *map(str, protos),
        ]
        if protoc.main(argv) != 0:
            raise SystemExit("cannot compile the .proto files")
        for path in sorted(path for path in Path(made).rglob("*") if path.is_file()):
            target = SOURCE / path.relative_to(made)
            if not target.exists() or target.read_bytes() != path.read_bytes():
                # Renamed into place: an import at the same moment sees the old or the new file.
                fresh = target.with_name(f".{target.name}.new")
                fresh.write_bytes(path.read_bytes())
                fresh.replace(target)


class Generate(Command):
    """Only generates."""

    description = "generate the gRPC messages from their .proto files"
    user_options: list[tuple[str, str | None, str]] = []  # noqa: RUF012 - as setuptools declares it

    def initialize_options(self) -> None:
        """There are none."""

    def finalize_options(self) -> None:
        """There are none."""

    def run(self) -> None:
        """Do it."""
        generate()


class Build(build_py):
    """Generates first, so that what is generated is part of what is built."""

    def run(self) -> None:
        """Do it, and build."""
        generate()
        super().run()


if __name__ == "__main__":
    if not {"clean", "--help", "--version"} & set(sys.argv):
        generate()
    setup(cmdclass={"build_py": Build, "generate": Generate})
