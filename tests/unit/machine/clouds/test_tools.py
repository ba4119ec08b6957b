"""The commands that clouds' own tools are given, and running them; the tools here are stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, NotFound, System
from moby.machine.clouds.orders import Request
from moby.machine.clouds.tools import carry_out, push_steps, run_steps

DISK = Path("/tmp/web.disk")


def joined(steps: list[list[str]]) -> list[str]:
    return [" ".join(step) for step in steps]


def test_gcp() -> None:
    options = {"bucket": "b", "project": "p", "family": "f"}
    assert joined(push_steps(Request("gcp", "web", file=DISK, force=True, options=options))) == [
        "gcloud storage cp /tmp/web.disk gs://b/web.img.tar.gz --project p",
        "gcloud compute images delete web --quiet --project p",
        "gcloud compute images create web --source-uri gs://b/web.img.tar.gz --project p --family f",
    ]
    assert joined(run_steps(Request("gcp", "web", data=Path("d"), options={"zone": "z"}))) == [
        "gcloud compute instances create web --image web --machine-type e2-small --metadata serial-port-enable=1"
        " --zone z --metadata-from-file user-data=d"
    ]


def test_azure() -> None:
    options = {"account": "a", "container": "c", "group": "g", "generation": "V2"}
    assert joined(push_steps(Request("azure", "web", file=DISK, options=options))) == [
        "az storage blob upload --account-name a --container-name c --type page --name web.vhd --file /tmp/web.disk",
        "az image create --resource-group g --name web --os-type Linux --hyper-v-generation V2"
        " --source https://a.blob.core.windows.net/c/web.vhd",
    ]
    (step,) = run_steps(Request("azure", "web", data=Path("d"), options={"group": "g"}))
    assert step[-3:] == ["--generate-ssh-keys", "--user-data", "d"]


def test_openstack() -> None:
    (step,) = push_steps(Request("openstack", "web", file=Path("web.qcow2"), options={"firmware": "uefi"}))
    assert " ".join(step) == (
        "openstack image create --disk-format qcow2 --container-format bare --file web.qcow2"
        " --property hw_firmware_type=uefi -f value -c id web"
    )
    (step,) = run_steps(Request("openstack", "web", options={"flavor": "small", "key": "k"}))
    assert " ".join(step) == (
        "openstack server create --image web --wait --flavor small --key-name k -f value -c id web"
    )


def test_vmware(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    assert joined(push_steps(Request("vmware", "web", file=DISK, options={"datastore": "d"}))) == [
        "govc import.vmdk -ds d /tmp/web.disk web"
    ]
    assert joined(run_steps(Request("vmware", "web", data=tmp_path / "data"))) == [
        "govc vm.create -g otherLinux64Guest -c 1 -m 1024 -disk web/web.vmdk -on=false web",
        "govc vm.change -vm web -e guestinfo.userdata=eA== -e guestinfo.userdata.encoding=base64",
        "govc vm.power -on web",
        "govc vm.ip web",
    ]


def test_virtualbox() -> None:
    assert joined(push_steps(Request("virtualbox", "web", file=DISK))) == [
        "VBoxManage convertfromraw /tmp/web.disk web.vdi --format VDI"
    ]
    steps = joined(run_steps(Request("virtualbox", "web", data=Path("/cd"), options={"publish": "8080:80"})))
    assert "--nat-pf1 published,tcp,127.0.0.1,8080,,80" in steps[1]
    assert steps[-2].endswith("--port 1 --device 0 --type dvddrive --medium /cd")
    assert steps[-1] == "VBoxManage startvm web --type headless"
    with pytest.raises(InvalidParameter, match="no port"):
        run_steps(Request("virtualbox", "web", options={"publish": "80"}))


async def test_steps_are_carried_out_until_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "govc"
    tool.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/said\n[ "$1" != fails ] || {{ echo sorry >&2; exit 3; }}\necho id\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    told: list[str] = []
    assert await carry_out([["govc", "one", "a b"], ["govc", "two"]], told.append) == "id"
    with pytest.raises(System, match="govc: sorry"):
        await carry_out([["govc", "fails"], ["govc", "never"]], told.append)
    assert (tmp_path / "said").read_text() == "one a b\ntwo\nfails\n"
    with pytest.raises(NotFound, match="gcloud is not installed"):
        await carry_out([["gcloud", "x"]], told.append)
