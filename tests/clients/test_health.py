"""Health checks: when a container is starting, healthy and unhealthy, and who is told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine

FAST = ("--health-interval", "200ms", "--health-timeout", "2s", "--health-retries", "2")


def health(engine: Engine, name: str) -> dict[str, Any]:
    """What inspect says."""
    found: dict[str, Any] = json.loads(engine.ok("inspect", "-f", "{{json .State.Health}}", name))
    return found


def until(engine: Engine, name: str, status: str, timeout: float = 30) -> dict[str, Any]:
    """Waits for a status."""
    deadline = time.monotonic() + timeout
    while (found := health(engine, name))["Status"] != status:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def test_a_check_is_starting_healthy_and_then_unhealthy(engine: Engine) -> None:
    since = str(time.time())
    # It has no answer before it is told one, however long that takes.
    check = "until cat /tmp/ok 2>/dev/null || test -e /tmp/bad; do sleep 0.05; done; cat /tmp/ok >/dev/null"
    patient = ("--health-interval", "200ms", "--health-timeout", "60s", "--health-retries", "2")
    engine.ok("run", "-d", "--name", "sick", *patient, "--health-cmd", check, "busybox", "sleep", "600")
    try:
        assert health(engine, "sick")["Status"] == "starting"
        assert "(health: starting)" in engine.ok("ps", "--filter", "name=sick", "--format", "{{.Status}}")
        engine.ok("exec", "sick", "sh", "-c", "echo fine > /tmp/new; mv /tmp/new /tmp/ok")
        found = until(engine, "sick", "healthy")
        assert found["FailingStreak"] == 0
        assert (found["Log"][-1]["ExitCode"], found["Log"][-1]["Output"]) == (0, "fine\n")
        assert "(healthy)" in engine.ok("ps", "--filter", "health=healthy", "--format", "{{.Status}}")
        engine.ok("exec", "sick", "mv", "/tmp/ok", "/tmp/bad")
        found = until(engine, "sick", "unhealthy")
        assert found["FailingStreak"] >= 2
        assert found["Log"][-1]["ExitCode"] == 1
        assert "No such file" in found["Log"][-1]["Output"]
        deadline = time.monotonic() + 30
        while len(log := health(engine, "sick")["Log"]) < 5 or log[0]["ExitCode"] == 0:
            assert time.monotonic() < deadline, log
            time.sleep(0.1)
        assert len(log) == 5
        lines = engine.ok(
            "events", "--since", since, "--until", str(time.time()), "--filter", "container=sick",
            "--filter", "event=health_status", "--format", "{{.Action}}",
        )  # fmt: skip
        assert lines.splitlines() == ["health_status: healthy", "health_status: unhealthy"]
    finally:
        engine.docker("rm", "-f", "sick")


def test_failures_do_not_count_in_the_start_period(engine: Engine) -> None:
    engine.ok(
        "run", "-d", "--name", "slow", *FAST, "--health-start-period", "60s", "--health-cmd", "false",
        "busybox", "sleep", "600",
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 20
        # Without an interval of its own the start period's checks come every five seconds.
        while not (found := health(engine, "slow"))["Log"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert (found["Status"], found["FailingStreak"]) == ("starting", 0)
    finally:
        engine.docker("rm", "-f", "slow")


def test_a_check_that_takes_too_long_is_ended(engine: Engine) -> None:
    options = ("--health-interval", "200ms", "--health-timeout", "300ms", "--health-retries", "1")
    engine.ok("run", "-d", "--name", "long", *options, "--health-cmd", "sleep 500", "busybox", "sleep", "600")
    try:
        found = until(engine, "long", "unhealthy")
        assert found["Log"][-1]["ExitCode"] == -1
        assert "Health check exceeded timeout (300ms)" in found["Log"][-1]["Output"]
        engine.ok("pause", "long")
        engine.ok("unpause", "long")
        time.sleep(0.5)
        assert engine.ok("exec", "long", "ps").count("sleep 500") <= 1
    finally:
        engine.docker("rm", "-f", "long")


def test_a_command_that_is_not_there_is_a_failure(engine: Engine) -> None:
    with engine.client() as client:
        container = client.containers.run(
            "busybox", ["sleep", "600"], detach=True,
            healthcheck={"test": ["CMD", "no-such-check"], "interval": 100_000_000, "retries": 1},
        )  # fmt: skip
        try:
            found = until(engine, container.id, "unhealthy")
            assert found["Log"][-1]["ExitCode"] != 0
        finally:
            container.remove(force=True)


def test_none_takes_an_images_check_away(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "none", "--no-healthcheck", "busybox", "sleep", "600")
    try:
        assert health(engine, "none") is None
        assert engine.ok("ps", "-q", "--filter", "health=none", "--filter", "name=none") != ""
    finally:
        engine.docker("rm", "-f", "none")


@pytest.mark.skipif(KIND != "mobyd", reason="dockerd stops its containers")
def test_checks_go_on_after_a_crash(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.ok("run", "-d", "--name", "well", *FAST, "--health-cmd", "true", "busybox", "sleep", "600")
    until(engine, "well", "healthy")
    engine.kill()
    engine.start()
    until(engine, "well", "healthy")
