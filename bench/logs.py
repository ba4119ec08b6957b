"""200 MB of log lines: written by a container into the default log, and read back."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from bench.measurement import Measurement, milliseconds
from bench.place import Side
from tests.clients.engine import DOCKER

LINE = "The quick brown fox jumps over the lazy dog, again and again and again, until the line is full.\n"
SIZE = 200_000_000
NAME = "bench-logged"


def lines(side: Side) -> Path:
    """The file of lines, made once for both sides."""
    path = side.files / "lines"
    if not path.exists():
        with path.open("w") as file:
            block = LINE * 1000
            for _ in range(SIZE // len(block)):
                file.write(block)
    return path


def write(side: Side) -> float:
    """From the start of the container to its end, with all lines in the log."""
    engine, path = side.engine, lines(side)
    engine.docker("rm", "--force", NAME)
    engine.ok("create", "--name", NAME, "-v", f"{path}:/lines:ro", "busybox", "cat", "/lines")
    return milliseconds(lambda: (engine.ok("start", NAME), engine.ok("wait", NAME, timeout=300)))


def write_once(side: Side) -> None:
    """A log to read."""
    write(side)


def read(side: Side) -> float:
    """All of the log from the API, thrown away."""
    target = f"/v1.41/containers/{NAME}/logs?stdout=1&stderr=1"
    request = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    def whole() -> None:
        buffer, got = bytearray(1 << 20), 0
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(side.engine.socket))
            connection.sendall(request.encode())
            while count := connection.recv_into(buffer):
                got += count
        assert got > SIZE, got

    return milliseconds(whole)


def read_by_command(side: Side) -> float:
    """As `read` by the docker command, whose own work is much of it."""

    def whole() -> None:
        subprocess.run(
            [DOCKER, "logs", NAME], env=side.engine.environment, stdout=subprocess.DEVNULL, check=True
        )

    return milliseconds(whole)


def end(side: Side) -> None:
    """Without the container and its log."""
    side.engine.docker("rm", "--force", NAME)


MEASUREMENTS = (
    Measurement("log-write-200MB", "ms", write, rounds=3, goal=0.4, warm=False, tidy=end),
    Measurement("log-read-200MB", "ms", read, rounds=2, goal=0.15, warm=False, prepare=write_once, tidy=end),
    Measurement(
        "docker-logs-200MB", "ms", read_by_command, rounds=2, warm=False, prepare=write_once, tidy=end
    ),
)
