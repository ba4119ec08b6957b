"""What Docker's own engine does not do: asked for by labels."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine
from tests.clients.test_events import past

pytestmark = pytest.mark.skipif(KIND != "mobyd", reason="dockerd does nothing of this")


def starts(engine: Engine, since: float) -> list[str]:
    """The names of the containers that were started, in order."""
    events = past(engine, since, "type=container", "event=start")
    return [event["Actor"]["Attributes"]["name"] for event in events]


def until(found: Callable[[], bool]) -> None:
    """Waits for something to become true."""
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_after_a_reboot_containers_start_in_the_order_asked_for(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine("--live-restore=false")
    check = ("--health-cmd", "test -e /tmp/ready", "--health-interval", "100ms", "--health-retries", "100")
    wait = ("busybox", "sh", "-c", "rm -f /tmp/ready; sleep 2; touch /tmp/ready; sleep 600")
    always = ("-d", "--restart", "always", "--stop-timeout", "0")
    engine.ok(
        "run", *always, "--name", "web", "--label", "org.mobyproject.start-after=cache,db:healthy", *wait
    )
    engine.ok("run", *always, "--name", "cache", "--label", "org.mobyproject.start-after=db", *wait)
    engine.ok("run", *always, "--name", "db", *check, *wait)
    project = ("--label", "com.docker.compose.project=shop", "--label")
    depends = "com.docker.compose.depends_on=store:service_started:false"
    engine.ok(
        "run",
        *always,
        "--name",
        "shop-till",
        *project,
        "com.docker.compose.service=till",
        "--label",
        depends,
        *wait,
    )
    engine.ok("run", *always, "--name", "shop-store", *project, "com.docker.compose.service=store", *wait)
    engine.stop()
    since = time.time()
    engine.start()
    until(lambda: len(starts(engine, since)) == 5)
    order = starts(engine, since)
    assert order.index("db") < order.index("cache") < order.index("web")
    assert order.index("shop-store") < order.index("shop-till")
    events = past(engine, since, "type=container")
    seen = [(event["Actor"]["Attributes"]["name"], event["Action"]) for event in events]
    assert seen.index(("db", "health_status: healthy")) < seen.index(("web", "start"))


def test_an_unhealthy_container_is_restarted(engine: Engine) -> None:
    engine.ok(
        "run", "-d", "--name", "sick", "--label", "org.mobyproject.restart=on-unhealthy:2", "--stop-timeout", "0",
        "--health-cmd", "false", "--health-interval", "50ms", "--health-retries", "2", "busybox", "sleep", "600",
    )  # fmt: skip
    until(lambda: engine.ok("inspect", "-f", "{{.RestartCount}}", "sick") == "2")
    until(lambda: engine.ok("inspect", "-f", "{{.State.Health.Status}}", "sick") == "unhealthy")
    # Twice and no more.
    time.sleep(1)
    assert engine.ok("inspect", "-f", "{{.RestartCount}} {{.State.Running}}", "sick") == "2 true"


def test_labels_that_mean_nothing_are_refused(engine: Engine) -> None:
    for label in ("org.mobyproject.restart=sometimes", "org.mobyproject.start-after=a:sick"):
        name, _, value = label.partition("=")
        words = engine.fails("create", "--label", label, "busybox")
        assert f'invalid label {name}: "{value}" is neither' in words
