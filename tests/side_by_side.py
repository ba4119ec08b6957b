"""Every test, in runs side by side: what emulates machines takes a processor, and engines' clients wait a lot.

python -m tests.side_by_side [PYTEST'S OPTIONS]
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
ENGINES = sorted(str(path.relative_to(HERE.parent)) for path in HERE.glob("clients/test_*.py"))
RUNS = {
    "engines": [path for number, path in enumerate(ENGINES) if number % 3],
    # Parts take less time than engines do.
    "parts": [
        "tests/unit",
        "tests/contract",
        "tests/integration",
        "--ignore=tests/integration/machine",
        *ENGINES[::3],
    ],
    "machines": ["tests/integration/machine"],
}
# The limits of machines leave room; what others wait for is to come as if these were not there.
BESIDE = {"machines": ["nice", "-n", "5"]}


def side_by_side(runs: Mapping[str, Sequence[str]]) -> int:
    """Run commands; 1 if one of them fails. The first is shown as it goes, the others when all have ended."""
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        said = {name: stack.enter_context(tempfile.TemporaryFile("w+")) for name in list(runs)[1:]}
        running = {
            name: subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=said.get(name), stderr=subprocess.STDOUT
            )
            for name, argv in runs.items()
        }

        def interrupt(number: int, _frame: object) -> None:
            # A terminal tells them of ^C itself. They end what they have started before they end.
            for process in running.values() if number == signal.SIGTERM else ():
                process.send_signal(signal.SIGINT)

        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, interrupt))
        for process in running.values():
            process.wait()
        for name, file in said.items():
            file.seek(0)
            print(f"\n{name}:\n{file.read()}")
    for name, process in running.items():
        how = "passed" if process.returncode == 0 else f"FAILED with status {process.returncode}"
        print(f"{name}: {how}")
    print(f"{(time.monotonic() - began) / 60:.1f} minutes", flush=True)
    return int(any(process.returncode != 0 for process in running.values()))


def main(options: Sequence[str]) -> int:
    """All tests."""
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return side_by_side({name: [*BESIDE.get(name, []), *pytest, *what] for name, what in RUNS.items()})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
