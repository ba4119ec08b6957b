"""Compose, the plugin of the docker command: a file goes up, answers, and leaves nothing when it goes down."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.clients.engine import DOCKER, Engine

pytestmark = pytest.mark.compose

FILE = """
name: shop
services:
  database:
    image: busybox
    command: sh -c 'cp /run/secrets/password /data/known; echo row > /data/table; exec httpd -f -p 5432 -h /data'
    secrets: [password]
    volumes: ["data:/data"]
    networks: {back: {aliases: [db]}}
    stop_signal: KILL
    healthcheck:
      test: [CMD, wget, -q, -O, "-", "127.0.0.1:5432/table"]
      interval: 200ms
      timeout: 5s
      retries: 50
  migration:
    image: busybox
    command: sh -c 'wget -q -O - db:5432/table > /data/migrated && test "$$(cat /run/secrets/password)" = "$$(cat /data/known)"'
    secrets: [password]
    volumes: ["data:/data"]
    networks: [back]
    depends_on: {database: {condition: service_healthy}}
  worker:
    image: busybox
    command: sh -c 'test -e /data/migrated && hostname > /data/$$(hostname) && exec sleep 600'
    volumes: ["data:/data"]
    networks: [back]
    stop_signal: KILL
    depends_on: {migration: {condition: service_completed_successfully}}
  web:
    image: busybox
    command: httpd -f -p 80 -h /www
    configs: [{source: page, target: /www/index.html}]
    volumes: ["data:/www/data:ro", "cache:/cache"]
    environment: {TIER: front}
    labels: {tier: front}
    networks:
      front: {ipv4_address: 10.88.0.80}
      back: {}
    ports: ["127.0.0.1:0:80", "18099:80/tcp"]
    stop_signal: KILL
    depends_on:
      database: {condition: service_healthy}
      worker: {condition: service_started}
  probe:
    image: busybox
    profiles: [debug]
    command: wget -q -O - web/
    networks: [front]
networks:
  front: {ipam: {config: [{subnet: 10.88.0.0/24}]}}
  back: {internal: true}
volumes: {data: {}, cache: {}}
secrets: {password: {file: ./password}}
configs: {page: {file: ./page.html}}
"""


class Compose:
    """The command for one project, in a folder of its own."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        (folder / "compose.yaml").write_text(FILE)
        (folder / "password").write_text("s3cret")
        (folder / "page.html").write_text("welcome")

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [DOCKER, "compose", *arguments], cwd=self.folder, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120, env=self.engine.environment, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}\n{self.engine.tail(10)}"
        return done.stdout

    def containers(self, *options: str) -> list[dict[str, Any]]:
        """Those of the project that run, or more with options."""
        return [json.loads(line) for line in self("ps", "--format", "json", *options).splitlines()]


@pytest.fixture
def compose(engine: Engine, tmp_path: Path) -> Compose:
    return Compose(engine, tmp_path)


def fetch(engine: Engine, port: int) -> str:
    """What the server behind a published port answers; it needs a moment after its start."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), engine.network.connect(port) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with connection.makefile() as file:
                return file.read()
        time.sleep(0.05)
    return ""


def left(engine: Engine) -> list[str]:
    """What there is of the project."""
    of = ("--filter", "label=com.docker.compose.project=shop", "--quiet")
    listings = [("ps", "--all"), ("network", "ls"), ("volume", "ls")]
    return [line for words in listings for line in engine.ok(*words, *of).split()]


def test_a_project_goes_up_and_down(engine: Engine, compose: Compose) -> None:
    compose("config", "--quiet")
    compose("up", "--detach", "--scale", "worker=5")
    running = compose.containers()
    assert sorted(one["Service"] for one in running) == ["database", "web", *["worker"] * 5]
    (ended,) = (one for one in compose.containers("--all") if one["State"] == "exited")
    assert (ended["Service"], ended["ExitCode"]) == ("migration", 0)

    port = int(compose("port", "web", "80").rpartition(":")[2])
    assert "welcome" in fetch(engine, port)
    assert "welcome" in fetch(engine, 18099)
    assert "row" in compose("exec", "-T", "web", "cat", "/www/data/migrated")
    workers = [one["ID"] for one in running if one["Service"] == "worker"]
    deadline = time.monotonic() + 20
    while len(found := set(compose("exec", "-T", "web", "ls", "/www/data").split())) < 8:
        assert time.monotonic() < deadline, found
    assert {container[:12] for container in workers} < found
    names = compose("exec", "-T", "web", "nslookup", "worker").count("Address")
    assert names >= 6
    assert engine.docker("exec", running[0]["ID"], "wget", "-q", "-T", "1", "-O", "-", "10.88.0.80").code != 0
    assert compose("run", "--rm", "probe") == "welcome"

    before = {one["Service"]: one["ID"] for one in running if one["Service"] != "worker"}
    compose("up", "--detach", "--scale", "worker=2")
    again = compose.containers()
    assert sum(one["Service"] == "worker" for one in again) == 2
    assert {one["Service"]: one["ID"] for one in again if one["Service"] != "worker"} == before
    (compose.folder / "page.html").write_text("changed")
    compose("up", "--detach", "--scale", "worker=2", "--force-recreate", "web")
    assert "changed" in fetch(engine, 18099)

    compose("pause", "worker")
    compose("unpause", "worker")
    compose("restart", "--timeout", "0", "worker")
    compose("kill", "worker")
    assert "web" in compose("logs", "--no-color", "web") or compose("top", "web")
    compose("down", "--volumes", "--timeout", "1")
    assert left(engine) == []


def test_a_broken_project_is_told_and_taken_down(engine: Engine, compose: Compose) -> None:
    (compose.folder / "password").write_text("")
    text = FILE.replace("test: [CMD, wget", 'test: [CMD, "false", wget').replace("retries: 50", "retries: 1")
    (compose.folder / "compose.yaml").write_text(text)
    with pytest.raises(AssertionError, match="unhealthy"):
        compose("up", "--detach")
    compose("down", "--volumes", "--timeout", "1")
    assert left(engine) == []
    shutil.rmtree(compose.folder)
