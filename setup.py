"""Generates the gRPC messages from their .proto files, and writes down which commit a package is made of.

`python setup.py generate` does the first alone; every build and every editable installation does it. The
second is in packages only: what a checkout holds changes after it was installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
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


def write_build(target: Path) -> None:
    """Write the commit, and the time: SOURCE_DATE_EPOCH's or the commit's: a build can be repeated."""
    git = ["git", "-C", str(SOURCE.parent)]
    try:
        asked = [*git, "log", "-1", "--format=%h %ct", "--", "src"]
        commit, seconds = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
        changed = subprocess.run([*git, "status", "--porcelain", "--", "src"], capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return
    moment = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", seconds)), UTC)
    build = {"commit": commit + ("-changed" if changed.stdout.strip() else ""), "time": moment.isoformat()}
    target.write_text(json.dumps(build) + "\n")


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
        if not self.editable_mode:
            write_build(Path(self.build_lib) / "moby" / "build.json")


if __name__ == "__main__":
    if not {"clean", "--help", "--version"} & set(sys.argv):
        generate()
    setup(cmdclass={"build_py": Build, "generate": Generate})
