"""Signals: what they do, in a process of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "src"

PROGRAM = """
import asyncio, logging, sys
from moby.cli.signals import install

async def main():
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s", force=True)
    stop = asyncio.Event()
    install(stop, lambda: print("reload", flush=True))
    print("ready", flush=True)
    await stop.wait()
    print("stopping", flush=True)
    if sys.argv[1] == "slow":
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture(params=["quick", "slow"])
def daemon(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A process that listens; a slow one does not end when it is told to."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, request.param],
        env={"PYTHONPATH": str(SOURCE)}, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            expect(process, "ready")
            yield process
        finally:
            process.kill()


def expect(process: subprocess.Popen[str], word: str) -> None:
    """Reads until it is said."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    raise AssertionError(word)


@pytest.mark.parametrize("daemon", ["quick"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_stops(daemon: subprocess.Popen[str], number: signal.Signals) -> None:
    for _ in range(2):
        daemon.send_signal(signal.SIGHUP)
        expect(daemon, "reload")
    daemon.send_signal(signal.SIGUSR1)
    expect(daemon, "task")
    daemon.send_signal(signal.SIGPIPE)
    daemon.send_signal(number)
    expect(daemon, "stopping")
    assert daemon.wait(10) == 0


@pytest.mark.parametrize("daemon", ["slow"], indirect=True)
def test_the_third_ends_it_at_once(daemon: subprocess.Popen[str]) -> None:
    daemon.send_signal(signal.SIGTERM)
    expect(daemon, "stopping")
    for number in (signal.SIGINT, signal.SIGTERM):
        assert daemon.poll() is None
        daemon.send_signal(number)
        if number is signal.SIGINT:
            expect(daemon, "signal received")
    assert daemon.wait(10) == 1
