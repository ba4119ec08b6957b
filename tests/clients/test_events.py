"""What the engine tells of what happens, live and afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tests.clients.engine import Engine


def past(engine: Engine, since: float, *filters: str) -> list[dict[str, Any]]:
    """The events since a moment, as the docker command prints them."""
    words = [word for one in filters for word in ("--filter", one)]
    lines = engine.ok(
        "events", "--since", str(since), "--until", str(time.time() + 0.1), *words, "--format", "{{json .}}"
    )
    return [json.loads(line) for line in lines.splitlines()]


def test_volumes_tell_of_being_mounted(engine: Engine) -> None:
    since = time.time()
    engine.ok("run", "--rm", "--name", "user", "-v", "told:/data:ro", "busybox", "true")
    events = past(engine, since)
    box = next(event["Actor"]["ID"] for event in events if event["Type"] == "container")
    mounts = [event for event in events if event["Type"] == "volume"]
    assert [event["Action"] for event in mounts] == ["create", "mount", "unmount"]
    assert {event["Actor"]["ID"] for event in mounts} == {"told"}
    assert mounts[1]["Actor"]["Attributes"] == {
        "driver": "local", "container": box, "destination": "/data", "read/write": "false", "propagation": "",
    }  # fmt: skip
    assert mounts[2]["Actor"]["Attributes"] == {"driver": "local", "container": box}
    actions = [f"{event['Type']} {event['Action']}" for event in events]
    assert actions.index("volume mount") < actions.index("container start") < actions.index("volume unmount")
    # What never ran had nothing mounted.
    since = time.time()
    engine.ok("create", "--name", "still", "-v", "told:/data", "busybox", "true")
    engine.ok("rm", "still")
    assert past(engine, since, "type=volume") == []
    engine.ok("volume", "rm", "told")


def test_prunes_tell_what_they_freed(engine: Engine) -> None:
    since = time.time()
    engine.ok("create", "--name", "pruned", "-v", "/data", "busybox", "true")
    for kind in ("container", "network", "volume", "image"):
        engine.ok(kind, "prune", "-f")
    events = past(engine, since, "event=prune")
    assert [event["Type"] for event in events] == ["container", "network", "volume", "image"]
    assert all(event["Actor"]["Attributes"]["reclaimed"].isdigit() for event in events)


def test_all_kinds_are_pruned_at_once(engine: Engine) -> None:
    """`docker system prune`, which asks for what builds left as well."""
    since = time.time()
    engine.ok("create", "--name", "pruned", "busybox", "true")
    assert "Total reclaimed space" in engine.ok("system", "prune", "-f")
    engine.ok("system", "prune", "-f", "--all", "--volumes", "--filter", "label=nobody-has-this")
    kinds = {event["Type"] for event in past(engine, since, "event=prune")}
    assert kinds == {"container", "network", "image", "volume", "builder"}
    assert engine.ok("ps", "-aq") == ""


def test_the_past_reaches_back_over_a_crash(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    since = time.time()
    for number in range(3):
        engine.ok("create", "--name", f"early-{number}", "busybox", "true")
    seen = past(engine, since, "type=container")
    assert [event["Actor"]["Attributes"]["name"] for event in seen] == ["early-0", "early-1", "early-2"]
    engine.kill()
    engine.start()
    assert past(engine, since, "type=container") == seen
    engine.ok("rm", "early-0")
    assert [event["Action"] for event in past(engine, since, "container=early-0")] == ["create", "destroy"]
