from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, System
from moby.core.types.containers import ContainerConfig, EndpointSettings, HostConfig
from moby.engine.containers.container import Container
from moby.engine.containers.index import Index
from moby.engine.containers.links import Links, parse_link
from moby.engine.containers.record import Record


def container(index: Index, name: str, address: str = "", **host: str) -> Container:
    record = Record(
        id=name * 8, name=name, created="", image="", chain="", platform="linux", path="true", args=[],
        config=ContainerConfig(hostname=f"{name}-host", env=["PATH=/bin", "A=1"],
                               exposed_ports={"53/udp": {}, "80-81/tcp": {}}),
        host_config=HostConfig(network_mode=host.get("network_mode", "bridge")),
        networks={"bridge": EndpointSettings(ip_address=address)},
    )  # fmt: skip
    record.state.running = bool(address)
    made = Container(record)
    index.add(made)
    return made


@pytest.mark.parametrize(
    ("text", "expected"),
    [("db", ("db", "db")), ("db:store", ("db", "store")), ("/db:/web/store", ("db", "store"))],
)
def test_how_links_are_written(text: str, expected: tuple[str, str]) -> None:
    assert parse_link(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "empty string specified for links"), ("a:b:c", "bad format for links: a:b:c")],
)
def test_what_is_no_link(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as failure:
        parse_link(text)
    assert failure.value.message == message


def test_links_lead_to_who_has_the_network(tmp_path: Path) -> None:
    index = Index()
    owner = container(index, "owner", "10.0.0.2")
    container(index, "guest", "10.0.0.2", network_mode=f"container:{owner.id}")
    container(index, "free", "10.0.0.9", network_mode="host")
    links = Links(index, tmp_path)
    assert links.resolve(HostConfig(network_mode="bridge", links=["guest:g"])) == {"g": owner.id}
    assert links.resolve(HostConfig(network_mode="mine", links=["guest:g"])) == {}
    with pytest.raises(InvalidParameter, match="host type networking can't be used with links"):
        links.resolve(HostConfig(network_mode="bridge", links=["free"]))
    with pytest.raises(
        InvalidParameter, match="could not get container for nobody: No such container: nobody"
    ):
        links.resolve(HostConfig(network_mode="bridge", links=["nobody"]))


def test_a_linked_container_is_in_the_hosts_file_and_moves_in_it(tmp_path: Path) -> None:
    index = Index()
    child, owner = container(index, "child", "10.0.0.2"), container(index, "owner", "10.0.0.3")
    owner.record.links = {"alias": child.id}
    links = Links(index, tmp_path)
    assert links.hosts(owner.record) == "10.0.0.2\talias child-host child\n"
    assert links.shown(owner.record) == ["/child:/owner/alias"]
    path = tmp_path / owner.id / "hosts"
    path.parent.mkdir()
    path.write_text("127.0.0.1\tlocalhost\n10.0.0.2\talias child-host child\n10.0.0.2\tother\n")
    child.record.networks["bridge"].ip_address = "10.0.0.7"
    owners = links.owners(child.record)
    assert owners == {owner.id: ["alias"]}
    links.moved(child.record, owners)
    assert path.read_text() == "127.0.0.1\tlocalhost\n10.0.0.7\talias child-host child\n10.0.0.2\tother\n"


def test_a_linked_container_has_to_run(tmp_path: Path) -> None:
    index = Index()
    child, owner = container(index, "child"), container(index, "owner", "10.0.0.3")
    owner.record.links = {"alias": child.id}
    with pytest.raises(System) as failure:
        Links(index, tmp_path).hosts(owner.record)
    assert failure.value.message == "Cannot link to a non running container: /child AS /owner/alias"


def test_variables_about_a_linked_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index()
    child, owner = container(index, "child", "10.0.0.2"), container(index, "owner", "10.0.0.3")
    owner.record.links = {"a-b": child.id}
    monkeypatch.setenv("DOCKER_KEEP_DEPRECATED_LEGACY_LINKS_ENV_VARS", "0")
    assert Links(index, tmp_path).environment(owner.record) == []
    monkeypatch.delenv("DOCKER_KEEP_DEPRECATED_LEGACY_LINKS_ENV_VARS")
    assert Links(index, tmp_path).environment(owner.record) == [
        "A_B_PORT=tcp://10.0.0.2:80",
        *(
            line
            for port in (80, 81)
            for line in (
                f"A_B_PORT_{port}_TCP=tcp://10.0.0.2:{port}",
                f"A_B_PORT_{port}_TCP_ADDR=10.0.0.2",
                f"A_B_PORT_{port}_TCP_PORT={port}",
                f"A_B_PORT_{port}_TCP_PROTO=tcp",
            )
        ),
        "A_B_PORT_53_UDP=udp://10.0.0.2:53",
        "A_B_PORT_53_UDP_ADDR=10.0.0.2",
        "A_B_PORT_53_UDP_PORT=53",
        "A_B_PORT_53_UDP_PROTO=udp",
        "A_B_PORT_80_TCP_START=tcp://10.0.0.2:80",
        "A_B_PORT_80_TCP_PORT_START=80",
        "A_B_PORT_80_TCP_END=tcp://10.0.0.2:81",
        "A_B_PORT_80_TCP_PORT_END=81",
        "A_B_NAME=/owner/a-b",
        "A_B_ENV_A=1",
    ]
