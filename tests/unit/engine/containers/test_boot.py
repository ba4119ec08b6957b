"""In which order containers are started when the daemon comes up."""

from __future__ import annotations

from typing import Any

import pytest

from moby.core.errors import InvalidParameter
from moby.core.types.containers import ContainerConfig, HostConfig
from moby.engine.containers.boot import check_after_label, depends_on, in_order, services
from moby.engine.containers.container import Container
from moby.engine.containers.index import Index
from moby.engine.containers.own_labels import AFTER_LABEL
from moby.engine.containers.record import Record


def add(index: Index, name: str, labels: dict[str, str] | None = None, **modes: Any) -> Record:
    record = Record(
        id=name * 8, name=name, created="", image="", chain="", platform="linux", path="true", args=[],
        config=ContainerConfig(labels=labels), host_config=HostConfig(**modes),
    )  # fmt: skip
    index.add(Container(record))
    return record


def names(index: Index) -> list[str]:
    return [container.record.name for container in in_order(index)]


def service(project: str, name: str, *depends: str) -> dict[str, str]:
    """The labels that compose gives a container."""
    return {
        "com.docker.compose.project": project,
        "com.docker.compose.service": name,
        "com.docker.compose.depends_on": ",".join(depends),
    }


def test_donors_come_first() -> None:
    index = Index()
    linked = add(index, "linked")
    first = add(index, "first", network_mode="container:second")
    add(index, "second", ipc_mode="container:third")
    third = add(index, "third", pid_mode="container:gone")
    linked.links = {"a": first.id}
    assert names(index) == ["third", "second", "first", "linked"]
    # Not even a circle keeps anybody waiting.
    third.links = {"a": linked.id}
    assert sorted(names(index)) == ["first", "linked", "second", "third"]


def test_labels_say_who_comes_after_whom() -> None:
    index = Index()
    add(index, "web", {AFTER_LABEL: "cache, db:healthy,nobody"})
    add(index, "db", {AFTER_LABEL: "cache"})
    add(index, "cache")
    assert names(index) == ["cache", "db", "web"]
    known = services(index)
    assert depends_on(index.find("web"), index, known) == {"cache" * 8: False, "db" * 8: True}


def test_services_of_compose_depend_on_those_of_their_project() -> None:
    index = Index()
    add(index, "web", service("a", "web", "db:service_healthy:false", "job:service_started:true"))
    add(index, "job", service("a", "job", "db:service_healthy:false"))
    add(index, "db-1", service("a", "db"))
    add(index, "db-2", service("a", "db"))
    add(index, "other", service("b", "db"))
    order = names(index)
    assert max(order.index("db-1"), order.index("db-2")) < order.index("job") < order.index("web")
    assert depends_on(index.find("web"), index, services(index)) == {
        "db-1" * 8: True, "db-2" * 8: True, "job" * 8: False,
    }  # fmt: skip


def test_a_container_does_not_wait_for_itself() -> None:
    index = Index()
    add(index, "me", {AFTER_LABEL: "me", **service("a", "me", "me:service_started:false")})
    assert depends_on(index.find("me"), index, services(index)) == {}
    assert names(index) == ["me"]


@pytest.mark.parametrize("text", ["", "a,,b", "a:sick", ":healthy", "a:"])
def test_labels_that_mean_nothing(text: str) -> None:
    with pytest.raises(InvalidParameter):
        check_after_label({AFTER_LABEL: text})


@pytest.mark.parametrize("text", ["a", "a,b:healthy", " a , b"])
def test_labels_that_mean_something(text: str) -> None:
    check_after_label({AFTER_LABEL: text})
    check_after_label({})
