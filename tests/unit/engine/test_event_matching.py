"""Which events the filters let through."""

from __future__ import annotations

import pytest

from moby.core.events import Actor, Event
from moby.core.filters import Filters
from moby.engine.event_matching import event_matches

STARTED = Event(
    "container", "start", Actor("1" * 64, {"name": "web-1", "image": "busybox:1.36", "tier": "a"}), 0, 0
)
PROBED = Event("container", "exec_start: sh -c true", Actor("2" * 64, {"name": "db", "image": "me/db"}), 0, 0)
PULLED = Event("image", "pull", Actor("docker.io/library/busybox:1.36", {"name": "busybox"}), 0, 0)
JOINED = Event("network", "connect", Actor("3" * 64, {"name": "web", "container": "1" * 64}), 0, 0)
ALL = {"started": STARTED, "probed": PROBED, "pulled": PULLED, "joined": JOINED}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, "started probed pulled joined", id="none"),
        pytest.param({"nonsense": ["x"], "id": ["x"]}, "started probed pulled joined", id="no such key"),
        pytest.param({"type": [], "container": []}, "started probed pulled joined", id="no values"),
        pytest.param({"type": ["image", "network"]}, "pulled joined", id="types"),
        pytest.param({"event": ["start"]}, "started", id="an action"),
        pytest.param({"event": ["exec"]}, "", id="a part of an action"),
        pytest.param({"event": ["exec_start"]}, "probed", id="an action that says more"),
        pytest.param({"event": ["exec_start: sh -c true"]}, "probed", id="all of what it says"),
        pytest.param({"event": ["exec_start", "star"]}, "started probed", id="all are beginnings then"),
        pytest.param({"container": ["web"]}, "started joined", id="the beginning of a name"),
        pytest.param({"container": ["22"]}, "probed", id="the beginning of an ID"),
        pytest.param({"container": ["web"], "type": ["container"]}, "started", id="two keys"),
        pytest.param({"image": ["busybox"]}, "started pulled", id="a repository"),
        pytest.param({"image": ["busybox:1.36"]}, "started", id="an image"),
        pytest.param({"image": ["busybox:1"]}, "", id="the beginning of an image"),
        pytest.param({"label": ["tier=a"]}, "started", id="a label"),
        pytest.param({"label": ["tier=b"]}, "", id="another label"),
        pytest.param({"scope": ["swarm"]}, "", id="another scope"),
    ],
)
def test_filters(fields: dict[str, list[str]], expected: str) -> None:
    filters = Filters(fields)
    assert [name for name, event in ALL.items() if event_matches(event, filters)] == expected.split()
