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
_UP_LIMIT_S = 600
# A bridge that joins two devices, in a namespace that nobody else sees and that is gone with its process.
NETWORK = """
ip link add shared type bridge && ip link set shared up
for number in 1 2; do
    ip tuntap add tap$number mode tap && ip link set tap$number master shared up
done
echo made
exec cat
"""
# It says on the console what it reads from the other's port 22, and in the folder that they share; and writes there.
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
        echo "$(hostname) was here" > /shared/$(hostname)
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


@contextmanager
def network() -> Iterator[int]:
    """The process that holds the network."""
    argv = ["unshare", "--net", "sh", "-ec", NETWORK]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "made\n"
        yield holder.pid
        # It ends with its input, which is closed here.


def told(number: int) -> str:
    """What a node is told: its address, and the other's."""
    address = f"address add 10.91.0.{number}/24 dev eth0\nlink set eth0 up\n"
    return json.dumps(
        {"ip": {"entries": {"eth0.conf": {"content": address}}}, "peer": {"content": f"10.91.0.{3 - number}"}}
    )


def moby(network: int, *words: str) -> None:
    argv = ["nsenter", f"--net=/proc/{network}/ns/net", sys.executable, "-m", "moby.cli.moby", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def node(network: int, state: Path, number: int, made: Path) -> Iterator[Path]:
    """A running node; what its console shows."""
    name = f"node{number}"
    try:
        moby(
            network, "run", "--detach", "--state", str(state), "--name", name, "--accel", "tcg", "--memory", "768",
            "--network", f"tap=tap{number},mac=52:54:00:00:00:0{number}", "--data", told(number),
            "--share", f"{made.parent / 'shared'}:shared",
            str(made / "cluster-node-squashfs.img"),
        )  # fmt: skip
        yield state / name / "console.log"
    finally:
        moby(network, "rm", "--force", "--state", str(state), name)


def test_two_nodes_see_each_other_and_what_they_share(tmp_path: Path) -> None:
    made, state, looks = tmp_path / "made", tmp_path / "state", tmp_path / "looks.yml"
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/word").write_text("as agreed")
    looks.write_text(LOOKS)
    assembly = str(ROOT / "assemblies" / "cluster-node.yml")
    build = ["build", assembly, str(looks), "-q", "-f", "kernel+squashfs", "--no-sbom", "-n", "cluster-node"]
    assert run([*build, "-o", str(made)]) == 0
    with ExitStack() as stack:
        net = stack.enter_context(network())
        shown = [stack.enter_context(node(net, state, number, made)) for number in (1, 2)]

        def console() -> str:
            return "\n".join(path.read_text(errors="replace")[-3000:] for path in shown if path.exists())

        for one, other in ((1, 2), (2, 1)):
            words = f"node{one} sees 10.91.0.{other}: as agreed"
            until(lambda words=words: words in console(), _UP_LIMIT_S, console)  # type: ignore[misc]
            assert (tmp_path / f"shared/node{one}").read_text() == f"node{one} was here\n"
