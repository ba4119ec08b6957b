"""This file is about clouds through their own command-line tools: which commands, in which order.

The commands are values, so that they can be read and tested without an account.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable
from pathlib import Path

from moby.core.errors import InvalidParameter, NotFound
from moby.host.files import translation
from moby.machine.clouds.orders import Request
from moby.machine.native import native

Step = list[str]

_SOURCES = {
    "gcloud": "https://cloud.google.com/sdk/docs/install",
    "az": "https://learn.microsoft.com/cli/azure/install-azure-cli",
    "openstack": "apt-get install python3-openstackclient",
    "govc": "https://github.com/vmware/govmomi",
    "VBoxManage": "https://www.virtualbox.org",
}
_LIMIT_S = 3600.0


async def carry_out(steps: list[Step], tell: Callable[[str], None]) -> str:
    """Run them one after another; what the last prints. Raises NotFound, System."""
    said = b""
    for step in steps:
        if shutil.which(step[0]) is None:
            raise NotFound(f"{step[0]} is not installed", hint=_SOURCES.get(step[0]))
        tell(" ".join(step[:3]))
        said = await native(step[0], *step[1:], limit_s=_LIMIT_S)
    return said.decode(errors="replace").strip()


def push_steps(request: Request) -> list[Step]:
    """What sends a disk and makes an image of it. Raises InvalidParameter."""
    if request.file is None:
        raise InvalidParameter("there is no disk to push")
    return _PUSH[request.cloud](request, request.file)


def run_steps(request: Request) -> list[Step]:
    """What starts a machine. Raises InvalidParameter."""
    return _RUN[request.cloud](request)


def _given(request: Request, **flags: str) -> list[str]:
    """`--flag value` for each option that is given; `_` is `-`."""
    found: list[str] = []
    for option, flag in flags.items():
        value = request.option(option.replace("_", "-"))
        found += [flag, value] if value else []
    return found


def _gcp_push(request: Request, file: Path) -> list[Step]:
    place = f"gs://{request.option('bucket')}/{request.name}.img.tar.gz"
    project = _given(request, project="--project")
    steps: list[Step] = [["gcloud", "storage", "cp", str(file), place, *project]]
    if request.force:
        steps.append(["gcloud", "compute", "images", "delete", request.name, "--quiet", *project])
    create = ["gcloud", "compute", "images", "create", request.name, "--source-uri", place]
    return [*steps, create + project + _given(request, family="--family")]


def _gcp_run(request: Request) -> list[Step]:
    step = [
        "gcloud", "compute", "instances", "create", request.name,
        "--image", request.name,
        "--machine-type", request.option("type", "e2-small"),
        "--metadata", "serial-port-enable=1",
    ]  # fmt: skip
    step += _given(request, zone="--zone", project="--project", network="--network")
    return [step + (["--metadata-from-file", f"user-data={request.data}"] if request.data else [])]


def _azure_push(request: Request, file: Path) -> list[Step]:
    account, container = request.option("account"), request.option("container")
    blob = f"{request.name}.vhd"
    upload = [
        "az", "storage", "blob", "upload",
        "--account-name", account,
        "--container-name", container,
        "--type", "page",
        "--name", blob,
        "--file", str(file),
    ]  # fmt: skip
    create = [
        "az", "image", "create",
        "--resource-group", request.option("group"),
        "--name", request.name,
        "--os-type", "Linux",
        "--hyper-v-generation", request.option("generation", "V1"),
        "--source", f"https://{account}.blob.core.windows.net/{container}/{blob}",
        *_given(request, location="--location"),
    ]  # fmt: skip
    return [upload + (["--overwrite"] if request.force else []), create]


def _azure_run(request: Request) -> list[Step]:
    step = [
        "az", "vm", "create",
        "--resource-group", request.option("group"),
        "--name", request.name,
        "--image", request.name,
        "--size", request.option("size", "Standard_B1s"),
        "--admin-username", "moby",
    ]  # fmt: skip
    key = request.option("key")
    step += ["--ssh-key-values", key] if key else ["--generate-ssh-keys"]
    return [step + (["--user-data", str(request.data)] if request.data else [])]


def _openstack_push(request: Request, file: Path) -> list[Step]:
    form = "qcow2" if file.suffix == ".qcow2" else "raw"
    step = [
        "openstack",
        "image",
        "create",
        "--disk-format",
        form,
        "--container-format",
        "bare",
        "--file",
        str(file),
    ]
    step += ["--property", f"hw_firmware_type={request.option('firmware', 'bios')}"]
    return [[*step, "-f", "value", "-c", "id", request.name]]


def _openstack_run(request: Request) -> list[Step]:
    step = ["openstack", "server", "create", "--image", request.name, "--wait"]
    step += _given(request, flavor="--flavor", network="--network", key="--key-name")
    step += ["--user-data", str(request.data)] if request.data else []
    return [[*step, "-f", "value", "-c", "id", request.name]]


def _vmware_push(request: Request, file: Path) -> list[Step]:
    step = ["govc", "import.vmdk", *_given(request, datastore="-ds", pool="-pool")]
    return [[*step, *(["-force"] if request.force else []), str(file), request.name]]


def _vmware_run(request: Request) -> list[Step]:
    disk = f"{request.name}/{request.name}.vmdk"
    create = [
        "govc", "vm.create",
        "-g", "otherLinux64Guest",
        "-c", request.option("cpus", "1"),
        "-m", request.option("memory", "1024"),
        "-disk", disk,
        "-on=false",
        *_given(request, datastore="-ds", pool="-pool", network="-net"),
        request.name,
    ]  # fmt: skip
    steps = [create]
    if request.data is not None:
        with translation(f"cannot read {request.data}"):
            data = base64.b64encode(request.data.read_bytes()).decode()
        told = ["-e", f"guestinfo.userdata={data}", "-e", "guestinfo.userdata.encoding=base64"]
        steps.append(["govc", "vm.change", "-vm", request.name, *told])
    return [*steps, ["govc", "vm.power", "-on", request.name], ["govc", "vm.ip", request.name]]


def _virtualbox_disk(name: str) -> str:
    return f"{name}.vdi"


def _virtualbox_push(request: Request, file: Path) -> list[Step]:
    disk = _virtualbox_disk(request.name)
    if request.force:
        Path(disk).unlink(missing_ok=True)
    return [["VBoxManage", "convertfromraw", str(file), disk, "--format", "VDI"]]


def _virtualbox_run(request: Request) -> list[Step]:
    name, disk = request.name, str(Path(_virtualbox_disk(request.name)).absolute())
    port = request.option("publish")
    forward: list[str] = []
    if port:
        here, colon, there = port.partition(":")
        if not colon or not here.isdigit() or not there.isdigit():
            raise InvalidParameter(f"{port!r} is no port to publish", hint="publish=HOST:GUEST")
        forward = ["--nat-pf1", f"published,tcp,127.0.0.1,{here},,{there}"]
    steps: list[Step] = [
        ["VBoxManage", "createvm", "--name", name, "--ostype", "Linux_64", "--register"],
        [
            "VBoxManage", "modifyvm", name,
            "--cpus", request.option("cpus", "1"),
            "--memory", request.option("memory", "1024"),
            "--firmware", request.option("firmware", "bios"),
            "--nic1", "nat",
            *forward,
        ],
        ["VBoxManage", "storagectl", name, "--name", "disks", "--add", "sata"],
        _attached(name, "0", "hdd", disk),
    ]  # fmt: skip
    if request.data is not None:
        steps.append(_attached(name, "1", "dvddrive", str(request.data.absolute())))
    return [*steps, ["VBoxManage", "startvm", name, "--type", "headless"]]


def _attached(name: str, port: str, kind: str, medium: str) -> Step:
    place = ["--storagectl", "disks", "--port", port, "--device", "0"]
    return ["VBoxManage", "storageattach", name, *place, "--type", kind, "--medium", medium]


_PUSH = {
    "gcp": _gcp_push,
    "azure": _azure_push,
    "openstack": _openstack_push,
    "vmware": _vmware_push,
    "virtualbox": _virtualbox_push,
}
_RUN = {
    "gcp": _gcp_run,
    "azure": _azure_run,
    "openstack": _openstack_run,
    "vmware": _vmware_run,
    "virtualbox": _virtualbox_run,
}
