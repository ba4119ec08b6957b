from __future__ import annotations

import pytest

from moby.core.types.containers import ContainerConfig, HostConfig, RestartPolicy
from moby.engine.containers.container import Container
from moby.engine.containers.record import Record, State
from moby.engine.containers.restarts import wants_restart


def container(
    policy: RestartPolicy, *, exit_code: int, restarts: int = 0, by_hand: bool = False
) -> Container:
    return Container(
        Record(
            id="c" * 64,
            name="web",
            created="2026-01-01T00:00:00Z",
            config=ContainerConfig(),
            host_config=HostConfig(restart_policy=policy),
            image="sha256:0",
            chain="sha256:0",
            platform="linux",
            path="true",
            args=[],
            state=State(exit_code=exit_code),
            restart_count=restarts,
            manually_stopped=by_hand,
        )
    )


@pytest.mark.parametrize(
    ("name", "limit", "exit_code", "restarts", "expected"),
    [
        pytest.param("no", 0, 1, 0, False, id="no policy"),
        pytest.param("always", 0, 0, 9, True, id="always, whatever the exit code"),
        pytest.param("unless-stopped", 0, 0, 0, True, id="unless stopped"),
        pytest.param("on-failure", 0, 0, 0, False, id="on failure, but it succeeded"),
        pytest.param("on-failure", 0, 1, 99, True, id="on failure, without limit"),
        pytest.param("on-failure", 3, 1, 2, True, id="on failure, one try left"),
        pytest.param("on-failure", 3, 1, 3, False, id="on failure, no try left"),
    ],
)
def test_policies(name: str, limit: int, exit_code: int, restarts: int, *, expected: bool) -> None:
    policy = RestartPolicy(name=name, maximum_retry_count=limit)
    assert wants_restart(container(policy, exit_code=exit_code, restarts=restarts)) is expected


@pytest.mark.parametrize("name", ["always", "unless-stopped", "on-failure"])
def test_what_was_stopped_by_hand_stays_stopped(name: str) -> None:
    policy = RestartPolicy(name=name)
    assert not wants_restart(container(policy, exit_code=1, by_hand=True))
