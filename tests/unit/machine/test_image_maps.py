"""Maps of images: the one that ships, and others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, NotFound
from moby.core.reference import parse_reference
from moby.machine.archives import take_in
from moby.machine.building import Order, Settings, build, read_machine
from moby.machine.cache import ImageCache
from moby.machine.image_maps import Other, other_image, read_map, shipped
from moby.machine.opening import open_all
from moby.machine.recipes import library
from tests.unit.machine.made import archive, layer, member


def test_a_name_without_a_version_stands_for_all(tmp_path: Path) -> None:
    path = tmp_path / "map.yml"
    path.write_text("one: two:3\none:1: {image: three, command: [run], env: [A=b]}\nquay.io/x/y: z\n")
    found = read_map(str(path))
    assert other_image(found, "one:2") == Other("two:3")
    assert other_image(found, "docker.io/library/one") == Other("two:3")
    assert other_image(found, "one:1") == Other("three", ["run"], ["A=b"])
    assert other_image(found, "quay.io/x/y:5") == Other("z")
    assert other_image(found, "x/y:5") is None
    assert other_image({}, "not A name") is None


@pytest.mark.parametrize("text", ["a: [", "[]", "a: {image: 1}", "a: {name: x}", "a: UPPER", "Wrong: x"])
def test_a_map_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "map.yml"
    path.write_text(text)
    with pytest.raises(InvalidParameter, match=r"map\.yml"):
        read_map(str(path))
    with pytest.raises(NotFound, match="there is no map"):
        read_map(str(tmp_path / "missing.yml"))


def test_linuxkits_images_are_components_that_ship() -> None:
    assert "linuxkit" in shipped()
    ours = library()
    for other in read_map("linuxkit").values():
        reference = parse_reference(other.image)
        assert reference.path.removeprefix("moby/") in ours


SHAPED_LIKE_LINUXKITS = """
kernel:
  image: linuxkit/kernel:6.12.59
  cmdline: "console=tty0 console=ttyS0 console=ttyAMA0"
init:
  - linuxkit/init:0123456789012345678901234567890123456789
  - linuxkit/runc:0123456789012345678901234567890123456789
onboot:
  - name: dhcpcd
    image: linuxkit/dhcpcd:0123456789012345678901234567890123456789
    command: ["/sbin/dhcpcd", "--nobackground", "-f", "/dhcpcd.conf", "-1"]
  - name: mount
    image: linuxkit/mount:0123456789012345678901234567890123456789
    command: ["/usr/bin/mountie", "/var/external"]
  - name: wg0
    image: linuxkit/ip:0123456789012345678901234567890123456789
    net: new
    binds:
      - /etc/wireguard:/etc/wireguard
    command: ["/usr/bin/lk-wg-config", "configure", "/etc/wireguard/wg0.conf"]
    runtime:
      interfaces:
        - name: wg0
          add: wireguard
          createInRoot: true
      bindNS:
          net: /run/netns/wg0
onshutdown:
  - name: shutdown
    image: busybox:latest
    command: ["/bin/echo", "so long"]
services:
  - name: getty
    image: linuxkit/getty:0123456789012345678901234567890123456789
    binds.add:
      # keeps what the image says as well
      - /var/tmp:/var/tmp
    env:
     - INSECURE=true
    net: /run/netns/wg0
  - name: docker
    image: docker:20.10.6-dind
    capabilities:
     - all
    net: host
    mounts:
     - type: cgroup
       options: ["rw","nosuid","noexec","nodev","relatime"]
    binds:
     - /etc/resolv.conf:/etc/resolv.conf
     - blank:/blank
    rootfsPropagation: shared
    command: ["/usr/local/bin/docker-init", "/usr/local/bin/dockerd"]
    runtime:
      mkdir: ["/var/lib/docker"]
volumes:
- name: blank   # empty
- name: alpine
  image: alpine:3.21
files:
  - path: var/lib/docker
    directory: true
  - path: etc/docker/daemon.json
    contents: '{"debug": true}'
    mode: "0644"
  - path: etc/linuxkit-config
    metadata: yaml
  - path: root/.ssh/authorized_keys
    source: ~/.ssh/none-here.pub
    mode: "0600"
    optional: true
"""


def test_an_assembly_of_linuxkits_shape_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(SHAPED_LIKE_LINUXKITS)
    machine = read_machine(tmp_path / "a.yml").machine
    mapped = [other_image(read_map("linuxkit"), name) for _key, name in machine.images()]
    assert [other.image if other else None for other in mapped] == [
        "moby/kernel", "moby/init", "moby/runc", "moby/dhcp", "moby/mount", "moby/ip",
        None, "moby/getty", None, None,
    ]  # fmt: skip


async def test_the_other_image_is_taken_and_the_assembly_stays(tmp_path: Path) -> None:
    (tmp_path / "app.tar").write_bytes(archive(layer(member("app", b"run")), name="app:1"))
    cache = ImageCache(tmp_path / "cache")
    cache.prepare()
    cache.name("docker.io/library/app:1", take_in(cache, tmp_path / "app.tar")[0][1])
    (tmp_path / "m.yml").write_text(
        "services: [{name: a, image: 'theirs/app:9'}]\nfiles: [{path: all, metadata: json}]\n"
    )
    settings = Settings(
        cache.root, offline=True, image_map={"docker.io/theirs/app": Other("app:1", ["/other"], ["A=b"])}
    )
    opened = await open_all(str(tmp_path / "m.yml"), settings)
    assert opened.images["theirs/app:9"].config.config.cmd == ["/other"]
    assert opened.images["theirs/app:9"].config.config.env[-1:] == ["A=b"]
    config = opened.tree.get("containers/services/a/config.json")
    assert config is not None
    assert b'"/other"' in config.read()
    # Another map is another machine.
    order = Order(tmp_path / "m.yml", "m", tmp_path, ["tar"], papers=False)
    steps: list[str] = []
    for command in ("/other", "/other", "/third"):
        again = replace(settings, image_map={"docker.io/theirs/app": Other("app:1", [command])})
        await build(order, again, steps.append)
    assert [step == "nothing has changed" for step in steps if step != "images"] == [
        False,
        False,
        True,
        False,
        False,
    ]
    told = opened.tree.get("all")
    assert told is not None
    assert b"theirs/app:9@sha256:" in told.read()
