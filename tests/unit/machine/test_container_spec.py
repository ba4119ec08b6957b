"""OCI configurations: defaults, and who counts before whom."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from moby.core.errors import InvalidParameter
from moby.core.types.images import ImageConfig
from moby.framework.machine import ContainerConfig
from moby.machine.container_spec import CAPABILITIES, LABEL, container_spec, read_label

IMAGE = ImageConfig(entrypoint=["/entry"], cmd=["arg"], env=["A=1"], working_dir="/work")


def spec(
    said: dict[str, Any] | None = None, label: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    mine = msgspec.convert(said or {}, ContainerConfig)
    theirs = msgspec.convert(label or {}, ContainerConfig)
    return container_spec(mine, theirs, IMAGE, {"web": 101}, **more)


def mounts(found: dict[str, Any]) -> dict[str, Any]:
    return {mount["destination"]: mount for mount in found["mounts"]}


def test_defaults_are_linuxkits() -> None:
    found = spec()
    process = found["process"]
    assert (process["args"], process["env"], process["cwd"]) == (["/entry", "arg"], ["A=1"], "/work")
    assert process["user"] == {"uid": 0, "gid": 0}
    assert process["capabilities"] == {
        name: [] for name in ("bounding", "effective", "inheritable", "permitted", "ambient")
    }
    assert found["root"] == {"path": "rootfs", "readonly": False}
    assert found["linux"]["namespaces"] == [{"type": "pid"}, {"type": "mount"}]
    assert [mount["destination"] for mount in found["mounts"]] == [
        "/dev",
        "/dev/pts",
        "/proc",
        "/sys",
        "/sys/fs/cgroup",
    ]
    assert "ro" not in mounts(found)["/dev"]["options"]
    assert "ro" in mounts(spec({"readonly": True}))["/dev"]["options"]


def test_the_assembly_counts_before_the_label_and_that_before_the_image() -> None:
    label = {
        "command": ["/label"],
        "env": ["B=2"],
        "capabilities": ["CAP_KILL"],
        "binds": ["/a:/a"],
        "net": "new",
    }
    found = spec(label=label)
    assert found["process"]["args"] == ["/label"]
    assert found["process"]["env"] == ["B=2"]
    assert {"type": "network"} in found["linux"]["namespaces"]
    said = {
        "command": ["/said"],
        "capabilities.add": ["CAP_CHOWN"],
        "binds.add": ["/b:/b:ro"],
        "net": "host",
        "env": [],
    }
    found = spec(said, label)
    assert found["process"]["args"] == ["/said"]
    assert found["process"]["env"] == []
    assert found["process"]["capabilities"]["bounding"] == ["CAP_CHOWN", "CAP_KILL"]
    assert {"/a", "/b"} <= set(mounts(found))
    assert {"type": "network"} not in found["linux"]["namespaces"]
    found = spec({"capabilities": [], "binds": []}, label)
    assert found["process"]["capabilities"]["effective"] == []
    assert "/a" not in mounts(found)


def test_every_other_key_has_its_place() -> None:
    found = spec({
        "uid": "web", "gid": 5, "additionalGids": [6, "web"], "hostname": "h", "cwd": "/c", "uts": "new",
        "capabilities": ["all"], "ambient": ["CAP_KILL"], "noNewPrivileges": True, "oomScoreAdj": -5,
        "rlimits": ["nofile, 100, unlimited"], "tmpfs": ["/t:size=1k,ro", "/u"], "sysctl": {"a.b": "1"},
        "devices": [{"path": "/dev/x", "type": "c", "major": 5, "minor": 1, "mode": "0666"}, {"path": "all", "type": "b"}],
        "resources": {"memory": {"limit": 5}, "blockio": {"weight": 7}, "pids": {"limit": 9}},
        "maskedPaths": ["/m"], "readonlyPaths": ["/r"], "cgroupsPath": "/g", "rootfsPropagation": "shared",
        "annotations": {"k": "v"}, "net": "/run/netns/x", "pid": "host", "ipc": "new",
        "mounts": [{"type": "proc"}, {"source": "mqueue"}, {"type": "xfs", "source": "/dev/y", "destination": "/y"}],
        "uidMappings": [{"containerID": 0, "hostID": 1, "size": 2}], "userns": "new",
    })  # fmt: skip
    process, linux = found["process"], found["linux"]
    assert process["user"] == {"uid": 101, "gid": 5, "additionalGids": [6, 101]}
    assert process["capabilities"]["permitted"] == sorted(CAPABILITIES)
    assert process["capabilities"]["ambient"] == ["CAP_KILL"]
    assert process["rlimits"] == [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 2**64 - 1}]
    assert (process["noNewPrivileges"], process["oomScoreAdj"], process["cwd"]) == (True, -5, "/c")
    assert (found["hostname"], found["annotations"]) == ("h", {"k": "v"})
    assert mounts(found)["/t"]["options"] == ["size=1k", "ro"]
    assert mounts(found)["/proc"] == {"destination": "/proc", "type": "proc", "source": "proc"}
    assert mounts(found)["/dev/mqueue"]["type"] == "mqueue"
    assert linux["namespaces"] == [
        {"type": "network", "path": "/run/netns/x"}, {"type": "ipc"}, {"type": "uts"}, {"type": "user"}, {"type": "mount"},
    ]  # fmt: skip
    assert linux["devices"] == [{"path": "/dev/x", "type": "c", "major": 5, "minor": 1, "fileMode": 0o666}]
    assert linux["resources"]["devices"] == [
        {"allow": True, "type": "c", "access": "rwm", "major": 5, "minor": 1}, {"allow": True, "type": "b", "access": "rwm"},
    ]  # fmt: skip
    assert linux["resources"]["memory"] == {"limit": 5}
    assert linux["resources"]["blockIO"] == {"weight": 7}
    assert linux["uidMappings"] == [{"hostID": 1, "size": 2}] or linux["uidMappings"][0]["size"] == 2
    assert (linux["sysctl"], linux["cgroupsPath"], linux["rootfsPropagation"]) == (
        {"a.b": "1"},
        "/g",
        "shared",
    )
    assert (linux["maskedPaths"], linux["readonlyPaths"]) == (["/m"], ["/r"])


def test_volumes_are_bound_by_name() -> None:
    found = mounts(spec({"binds": ["v:/v", "r:/r"]}, volumes={"v": False, "r": True}))
    assert found["/v"]["source"] == "/containers/volumes/v/merged"
    assert found["/v"]["options"] == ["rw", "rbind", "rshared"]
    assert found["/r"]["options"][0] == "ro"
    assert "rw" not in found["/r"]["options"]


@pytest.mark.parametrize("said", [
    {"capabilities": ["CAP_NONSENSE"]}, {"ambient": ["kill"]}, {"rlimits": ["nofile,1"]}, {"rlimits": ["nofile,x,1"]},
    {"rlimits": ["files,1,1"]}, {"binds": ["/a"]}, {"binds": ["/a:/b:ro:x"]}, {"binds": ["nothing:/b"]},
    {"binds": ["r:/r:rw"]}, {"tmpfs": ["/a:b:c"]}, {"mounts": [{"destination": "/x"}]}, {"mounts": [{"type": "xfs"}]},
    {"net": "bridge"}, {"uid": "nobody"}, {"command": []}, {"devices": [{"path": "/dev/x", "type": "c", "mode": "9"}]},
    {"tmpfs": ["relative"]},
])  # fmt: skip
def test_what_cannot_be_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        spec(said, volumes={"r": True})


def test_labels_are_read_strictly() -> None:
    label = {"binds": ["/a:/b"], "runtime": {"mkdir": ["/x"]}}
    found = read_label(ImageConfig(labels={LABEL: json.dumps(label)}))
    assert (found.binds, found.runtime is not None) == (["/a:/b"], True)
    assert read_label(ImageConfig(labels={LABEL: "readonly: true\n"})).readonly is True
    assert read_label(ImageConfig()) == ContainerConfig()
    for wrong in ("[]", '{"name": "x"}', '{"bind": []}', "{"):
        with pytest.raises(InvalidParameter, match=r"org\.mobyproject\.config"):
            read_label(ImageConfig(labels={LABEL: wrong}))
