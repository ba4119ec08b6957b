"""Two nodes on one network, each a machine on a device of the host: they reach each other, and have what they share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from moby.cli.moby import run
from tests.integration.machine.machines import until

ROOT = Path(__file__).resolve().parents[3]
SPACE = f"mobyq-{os.getpid()}"
_UP_LIMIT_S = 600
# It says on the console what it reads from the other's port 22, and in the folder that they share.
LOOKS = """
services:
  - name: looks
    image: moby/getty
    net: host
    command:
      - sh
      - -c
      - |
        until nc -w 2 $(cat /run/config/peer) 22 < /dev/null | grep -q SSH; do sleep 1; done
        echo "$(hostname) sees $(cat /run/config/peer): $(cat /shared/word)" > /dev/console
    binds.add: ["/var/shared:/shared"]
    runtime: {mounts: [{type: virtiofs, source: shared, destination: /var/shared}]}
"""

pytestmark = [
    pytest.mark.boots,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="machines are run on x86-64"),
    pytest.mark.skipif(os.geteuid() != 0, reason="devices of the host take root"),
]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def network() -> Iterator[None]:
    """A namespace with a bridge that joins two devices."""
    ip("netns", "add", SPACE)
    try:
        ip("-n", SPACE, "link", "add", "shared", "type", "bridge")
        ip("-n", SPACE, "link", "set", "shared", "up")
        for number in (1, 2):
            ip("-n", SPACE, "tuntap", "add", f"tap{number}", "mode", "tap")
            ip("-n", SPACE, "link", "set", f"tap{number}", "master", "shared", "up")
        yield
    finally:
        ip("netns", "delete", SPACE)


def told(number: int) -> str:
    """What a node is told: its address, and the other's."""
    address = f"address add 10.91.0.{number}/24 dev eth0\nlink set eth0 up\n"
    return json.dumps(
        {"ip": {"entries": {"eth0.conf": {"content": address}}}, "peer": {"content": f"10.91.0.{3 - number}"}}
    )


def moby(*words: str) -> None:
    argv = ["ip", "netns", "exec", SPACE, sys.executable, "-m", "moby.cli.moby", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def node(state: Path, number: int, made: Path) -> Iterator[Path]:
    """A running node; what its console shows."""
    name = f"node{number}"
    shared = made.parent / "shared"
    try:
        moby(
            "run", "--detach", "--state", str(state), "--name", name, "--accel", "tcg", "--memory", "1024",
            "--network", f"tap=tap{number},mac=52:54:00:00:00:0{number}", "--data", told(number),
            "--share", f"{shared}:shared", str(made / "cluster-node-squashfs.img"),
        )  # fmt: skip
        yield state / name / "console.log"
    finally:
        moby("rm", "--force", "--state", str(state), name)


def test_two_nodes_see_each_other(tmp_path: Path) -> None:
    made, state, looks = tmp_path / "made", tmp_path / "state", tmp_path / "looks.yml"
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/word").write_text("as agreed")
    looks.write_text(LOOKS)
    assembly = str(ROOT / "assemblies" / "cluster-node.yml")
    build = ["build", assembly, str(looks), "-q", "-f", "kernel+squashfs", "--no-sbom", "-n", "cluster-node"]
    assert run([*build, "-o", str(made)]) == 0
    with ExitStack() as stack:
        stack.enter_context(network())
        shown = [stack.enter_context(node(state, number, made)) for number in (1, 2)]

        def console() -> str:
            return "\n".join(path.read_text(errors="replace")[-3000:] for path in shown if path.exists())

        for words in ("node1 sees 10.91.0.2: as agreed", "node2 sees 10.91.0.1: as agreed"):
            until(lambda words=words: words in console(), _UP_LIMIT_S, console)  # type: ignore[misc]
