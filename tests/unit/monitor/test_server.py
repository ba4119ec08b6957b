"""The fork server: what it loads, since every monitor has it."""

from __future__ import annotations

import subprocess
import sys

from moby.framework.builtins import BUILTINS

HEAVY = {
    "asyncio",
    "ssl",
    "http",
    "email",
    "shutil",
    "hashlib",
    "configparser",
    "logging",
    "subprocess",
    "gzip",
}


def test_a_driver_brings_what_it_needs_when_it_is_used() -> None:
    targets = [f"{name}={target}" for name, target in BUILTINS["logs"].items()]
    program = (
        "import sys; from moby.monitor.server import load_drivers\n"
        "assert sorted(load_drivers(sys.argv[1:])) == sorted(target.partition('=')[0] for target in sys.argv[1:])\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, *targets], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint(HEAVY), sorted(loaded & HEAVY)
