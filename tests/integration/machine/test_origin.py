"""Moby Origin in qemu: docker's own command, from here, runs containers in it; a disk keeps what it has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from moby.cli.moby import run
from tests.integration.machine.machines import answers, free_ports, machine, until

ROOT = Path(__file__).resolve().parents[3]
COMPRESSED_LIMIT = 160 << 20
_UP_LIMIT_S = 400
_CALL_LIMIT_S = 240

pytestmark = [
    pytest.mark.boots,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="machines are run on x86-64"),
    pytest.mark.skipif(shutil.which("docker") is None, reason="needs docker's command"),
]


class Docker:
    """docker's command, with certificates."""

    def __init__(self, port: int, certificates: Path) -> None:
        self._asked = ["docker", "--host", f"tcp://127.0.0.1:{port}", "--tlsverify"]
        # No settings of whoever runs the tests.
        self._environment = os.environ | {
            "DOCKER_CERT_PATH": str(certificates),
            "DOCKER_CONFIG": str(certificates / "none"),
        }

    def __call__(self, *words: str) -> str:
        done = self.call(*words)
        assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}"
        return done.stdout.strip()

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._asked, *words],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_CALL_LIMIT_S,
            check=False,
        )

    def up(self) -> bool:
        return self.call("version").returncode == 0


def test_docker_runs_containers_in_origin_and_its_disk_keeps_them(tmp_path: Path) -> None:
    made, certificates, state = tmp_path / "made", tmp_path / "certs", tmp_path / "state"
    assembly = str(ROOT / "assemblies" / "origin.yml")
    assert run(["build", assembly, "-q", "-f", "kernel+squashfs", "--no-sbom", "-o", str(made)]) == 0
    assert sum(path.stat().st_size for path in made.iterdir()) <= COMPRESSED_LIMIT
    assert run(["certs", str(certificates)]) == 0
    archive = tmp_path / "busybox.tar"
    subprocess.run([sys.executable, ROOT / "components" / "busybox" / "build.py", archive], check=True)
    api, web = free_ports(2)
    given = [
        "--memory", "1024", "--cpus", "2", "--disk", "size=1G",
        "--publish", f"{api}:2376", "--publish", f"{web}:8080",
        "--data-file", str(certificates / "data.json"),
    ]  # fmt: skip
    docker = Docker(api, certificates)
    with machine(state, "origin", *given, str(made / "origin-squashfs.img")) as console:
        until(docker.up, _UP_LIMIT_S, console)
        assert "busybox" in docker("load", "--input", str(archive))
        serve = "echo from origin > index.html; exec httpd -f -p 80"
        docker(
            "run",
            "--detach",
            "--restart",
            "always",
            "--name",
            "web",
            "--publish",
            "8080:80",
            "busybox",
            "sh",
            "-c",
            serve,
        )
        until(lambda: answers(web, "from origin"), _CALL_LIMIT_S, console)
        docker("volume", "create", "--opt", "size=4m", "small")
        fill = ("dd", "if=/dev/zero", "of=/data/file", "bs=1M", "count=8")
        filled = docker.call("run", "--rm", "--volume", "small:/data", "busybox", *fill)
        assert "Disk quota exceeded" in filled.stderr
        assert (
            docker("run", "--rm", "--volume", "small:/data", "busybox", "du", "-m", "/data/file")[:1] == "4"
        )
        docker("volume", "rm", "small")
        stranger = subprocess.run(
            ["docker", "--host", f"tcp://127.0.0.1:{api}", "--tls", "version"],
            env=os.environ | {"DOCKER_CERT_PATH": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)},
            capture_output=True, text=True, timeout=_CALL_LIMIT_S, check=False,
        )  # fmt: skip
        assert stranger.returncode != 0
        made_of = docker("image", "inspect", "--format", "{{.Id}}", "busybox")
        container = docker("inspect", "--format", "{{.Id}}", "web")
        assert run(["stop", "--state", str(state), "--time", "120", "origin"]) == 0
        assert "moby: down" in console()
        assert run(["start", "--state", str(state), "origin"]) == 0
        until(docker.up, _UP_LIMIT_S, console)
        assert docker("image", "inspect", "--format", "{{.Id}}", "busybox") == made_of
        assert docker("inspect", "--format", "{{.Id}}", "web") == container
        until(lambda: answers(web, "from origin"), _CALL_LIMIT_S, console)
