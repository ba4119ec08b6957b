from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from moby.core.errors import InvalidParameter, NotImplemented, System
from moby.core.types.containers import ContainerConfig, DeviceRequest, HostConfig
from moby.runtime.cdi import device_names, inject_devices
from moby.runtime.spec import SpecInput, User, build_spec


def spec() -> dict[str, Any]:
    config = ContainerConfig(env=["MODE=old"])
    return build_spec(
        SpecInput(id="c" * 64, args=["true"], config=config, host=HostConfig(), user=User(5, 6), network=None)
    )


def write(directory: Path, name: str = "vendor.json", **fields: Any) -> Path:
    document = {"cdiVersion": "0.6.0", "kind": "vendor.com/dev", "devices": [], **fields}
    (directory / name).write_bytes(msgspec.json.encode(document))
    return directory


def device(name: str, **edits: Any) -> dict[str, Any]:
    return {"name": name, "containerEdits": edits}


def request(*names: str) -> list[DeviceRequest]:
    return [DeviceRequest(driver="cdi", device_ids=list(names))]


def test_a_device_brings_what_it_is_described_with(tmp_path: Path) -> None:
    write(
        tmp_path,
        devices=[
            device(
                "one",
                env=["MODE=new", "ONE=1"],
                deviceNodes=[{"path": "/dev/one", "hostPath": "/dev/null", "permissions": "r"}],
                mounts=[{"hostPath": "/srv/lib", "containerPath": "/lib/one", "options": ["ro", "bind"]}],
                hooks=[
                    {"hookName": "createContainer", "path": "/bin/hook", "args": ["hook", "x"], "timeout": 3}
                ],
                additionalGids=[44, 0],
            ),
            device("two"),
        ],
        containerEdits={"env": ["ALL=1"]},
    )
    found = spec()
    inject_devices(found, request("vendor.com/dev=one", "vendor.com/dev=two"), [str(tmp_path)])
    assert {"MODE=new", "ONE=1", "ALL=1"} <= set(found["process"]["env"])
    assert "MODE=old" not in found["process"]["env"]
    assert found["linux"]["devices"][-1] == {
        "path": "/dev/one", "type": "c", "major": 1, "minor": 3, "uid": 5, "gid": 6,
    }  # fmt: skip
    assert found["linux"]["resources"]["devices"][-1] == {
        "allow": True, "type": "c", "major": 1, "minor": 3, "access": "r",
    }  # fmt: skip
    mount = next(mount for mount in found["mounts"] if mount["destination"] == "/lib/one")
    assert (mount["source"], mount["options"]) == ("/srv/lib", ["ro", "bind"])
    assert found["hooks"] == {
        "createContainer": [{"path": "/bin/hook", "args": ["hook", "x"], "env": [], "timeout": 3}]
    }
    assert found["process"]["user"]["additionalGids"] == [6, 44]


def test_yaml_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "cdiVersion: 0.5.0\nkind: other.org/net\ndevices:\n- name: '0'\n  containerEdits:\n    env: [NET=0]\n"
    )
    assert device_names([str(tmp_path)]) == ["other.org/net=0"]


def test_of_two_directories_the_later_counts_and_in_one_there_is_conflict(tmp_path: Path) -> None:
    early, late = tmp_path / "early", tmp_path / "late"
    early.mkdir()
    late.mkdir()
    write(early, devices=[device("one", env=["FROM=early"]), device("two")])
    write(late, devices=[device("one", env=["FROM=late"])])
    found = spec()
    inject_devices(found, request("vendor.com/dev=one"), [str(early), str(late)])
    assert "FROM=late" in found["process"]["env"]
    write(late, "again.json", devices=[device("one")])
    assert device_names([str(early), str(late)]) == ["vendor.com/dev=two"]


def test_a_bad_file_hides_no_other(tmp_path: Path) -> None:
    write(tmp_path, devices=[device("one")])
    (tmp_path / "bad.json").write_text("{")
    write(tmp_path, "kind.json", kind="nonsense")
    write(tmp_path, "name.json", kind="b.org/x", devices=[device("a b")])
    (tmp_path / "ignored.txt").write_text("x")
    assert device_names([str(tmp_path), str(tmp_path / "none")]) == ["vendor.com/dev=one"]


@pytest.mark.parametrize(
    ("asked", "kind", "message"),
    [
        (DeviceRequest(driver="cdi", device_ids=["vendor.com/dev=x", "y"]), System,
         "CDI device injection failed: unresolvable CDI devices vendor.com/dev=x, y"),
        (DeviceRequest(driver="cdi", count=1), InvalidParameter, "unexpected count in CDI device request"),
        (DeviceRequest(driver="cdi", options={"a": "b"}), InvalidParameter, "unexpected options in CDI device request"),
        (DeviceRequest(count=-1, capabilities=[["gpu"]]), System,
         'could not select device driver "" with capabilities: [[gpu]]'),
        (DeviceRequest(count=-1, capabilities=[["gpu", "compute"], ["tpu"]]), System,
         'could not select device driver "" with capabilities: [[gpu compute] [tpu]]'),
        (DeviceRequest(driver="fast"), System, 'could not select device driver "fast" with capabilities: []'),
    ],
)  # fmt: skip
def test_what_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: DeviceRequest, kind: type[Exception], message: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(kind) as failure:
        inject_devices(spec(), [asked], [str(tmp_path)])
    assert str(failure.value) == message


def test_what_no_runtime_can_do_is_named(tmp_path: Path) -> None:
    write(tmp_path, devices=[device("net", netDevices=[{"hostInterfaceName": "eth7"}])])
    with pytest.raises(NotImplemented, match="netDevices"):
        inject_devices(spec(), request("vendor.com/dev=net"), [str(tmp_path)])


def program(directory: Path, name: str) -> None:
    (directory / name).write_text("#!/bin/sh\n")
    (directory / name).chmod(0o755)


def test_gpus_by_the_vendors_hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "nvidia-container-runtime-hook")
    found = spec()
    inject_devices(found, [DeviceRequest(count=2, capabilities=[["gpu", "utility"]])], [])
    assert {"NVIDIA_VISIBLE_DEVICES=0,1", "NVIDIA_DRIVER_CAPABILITIES=utility"} <= set(
        found["process"]["env"]
    )
    assert found["hooks"]["prestart"][0]["args"] == ["nvidia-container-runtime-hook", "prestart"]
    with pytest.raises(InvalidParameter, match="cannot set both Count and DeviceIDs on device request"):
        inject_devices(spec(), [DeviceRequest(driver="nvidia", count=1, device_ids=["0"])], [])


def test_gpus_by_their_descriptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "nvidia-cdi-hook")
    write(tmp_path, kind="nvidia.com/gpu", devices=[device("all", env=["GPU=all"])])
    found = spec()
    inject_devices(found, [DeviceRequest(count=-1, capabilities=[["gpu"]])], [str(tmp_path)])
    assert "GPU=all" in found["process"]["env"]
    write(tmp_path, "amd.json", kind="amd.com/gpu", devices=[device("0", env=["GPU=amd"])])
    (tmp_path / "nvidia-cdi-hook").unlink()
    found = spec()
    inject_devices(found, [DeviceRequest(count=1, capabilities=[["gpu"]])], [str(tmp_path)])
    assert "GPU=amd" in found["process"]["env"]
