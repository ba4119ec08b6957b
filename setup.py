"""Generates the gRPC messages from their .proto files, whichever way the package is built."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SOURCE = Path(__file__).parent / "src"


def generate() -> None:
    """Write a module beside each .proto file."""
    from grpc_tools import protoc

    for proto in sorted(SOURCE.glob("moby/**/*.proto")):
        include = Path(protoc.__file__).parent / "_proto"
        status = protoc.main(
            ["protoc", f"-I{SOURCE}", f"-I{include}", f"--python_out={SOURCE}", f"--pyi_out={SOURCE}", str(proto)]
        )
        if status != 0:
            raise SystemExit(f"cannot compile {proto}")


class Build(build_py):
    """Generates first, so that what is generated is part of what is built."""

    def run(self) -> None:
        generate()
        super().run()


if __name__ == "__main__":
    generate()
    setup(cmdclass={"build_py": Build})
