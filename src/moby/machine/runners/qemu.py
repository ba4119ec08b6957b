"""This file is about qemu: the arguments that it is called with, and those of who serves it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from moby.core.errors import InvalidParameter, NotFound
from moby.machine.native import program
from moby.machine.runners.boot import Boot
from moby.machine.runners.hardware import Disk, Hardware, Network, Share

_SYSTEMS = {"amd64": ("qemu-system-x86_64", "q35"), "arm64": ("qemu-system-aarch64", "virt")}
# The signatures of pointers as the processor has them are a third of what an emulation does.
_EMULATED = {"arm64": "max,pauth-impdef=on"}
# Debian's older releases keep it with qemu.
_VIRTIOFSD = (Path("/usr/libexec/virtiofsd"), Path("/usr/lib/qemu/virtiofsd"))


def command(
    boot: Boot,
    hardware: Hardware,
    *,
    console: Sequence[str] = ("-serial", "mon:stdio"),
    state: Path | None = None,
) -> list[str]:
    """qemu with all its arguments; its sockets are in `state`. Raises NotFound, InvalidParameter."""
    system = _SYSTEMS.get(hardware.platform.architecture)
    if system is None:
        raise InvalidParameter(f"machines for {hardware.platform} are not run here")
    argv = [
        program(system[0]),
        "-machine", f"{system[1]},accel={hardware.accel}",
        "-cpu", "host" if hardware.accel == "kvm" else _EMULATED.get(hardware.platform.architecture, "max"),
        "-m", str(hardware.memory),
        "-smp", str(hardware.cpus),
        "-nodefaults",
        "-no-reboot",
        *_screen(hardware),
        *console,
        *_network(hardware),
        "-device", "virtio-rng-pci",
    ]  # fmt: skip
    if state is not None:
        argv += ["-qmp", f"unix:{_escaped(state / 'qmp')},server=on,wait=off"]
    if boot.kernel is not None:
        argv += ["-kernel", str(boot.kernel), "-append", _cmdline(boot, hardware)]
    if boot.initrd is not None:
        argv += ["-initrd", str(boot.initrd)]
    argv += _firmware(boot)
    for number, cd in enumerate(boot.cds):
        argv += _cd(cd, number, hardware)
    if any(disk.bus == "scsi" for disk in boot.disks):
        argv += ["-device", "virtio-scsi-pci,id=scsi"]
    for number, disk in enumerate(boot.disks):
        argv += _disk(disk, number)
    for number, share in enumerate(hardware.shares):
        argv += _share(share, number, state)
    if any(share.kind == "virtiofs" for share in hardware.shares):
        # The folder's server reads and writes the machine's memory.
        size = f"{hardware.memory}M"
        argv += [
            "-object",
            f"memory-backend-memfd,id=memory,size={size},share=on",
            "-numa",
            "node,memdev=memory",
        ]
    return argv + _vsock(hardware.vsock) + _devices(hardware)


def _cmdline(boot: Boot, hardware: Hardware) -> str:
    # Linux panics when its timer does not tick at once, as happens to what is emulated on a busy host.
    slow = hardware.accel == "tcg" and hardware.platform.architecture == "amd64"
    return f"{boot.cmdline} no_timer_check".strip() if slow else boot.cmdline


def _firmware(boot: Boot) -> list[str]:
    if boot.firmware is None:
        return []
    if boot.variables is None:
        return ["-bios", str(boot.firmware)]
    flash = "if=pflash,format=raw"
    return [
        "-drive", f"{flash},unit=0,readonly=on,file={_escaped(boot.firmware)}",
        "-drive", f"{flash},unit=1,file={_escaped(boot.variables)}",
    ]  # fmt: skip


def servers(shares: Sequence[Share], state: Path) -> list[list[str]]:
    """The programs that serve shared folders, to be started first. Raises NotFound."""
    found = []
    for number, share in enumerate(shares):
        if share.kind != "virtiofs":
            continue
        server = next((path for path in _VIRTIOFSD if path.exists()), None)
        if server is None:
            raise NotFound("virtiofsd is not installed", hint="apt-get install virtiofsd, or type=9p")
        socket = state / f"share{number}"
        found.append(
            [str(server), f"--socket-path={socket}", "-o", f"source={share.path}", "-o", "sandbox=chroot"]
        )
    return found


def _network(hardware: Hardware) -> list[str]:
    network: Network = hardware.network
    if network.kind == "none":
        return []
    back = "user,id=net" + "".join(f",{port}" for port in hardware.ports)
    if network.kind == "bridge":
        back = f"bridge,id=net,br={network.device}"
    elif network.kind == "tap":
        back = f"tap,id=net,ifname={network.device},script=no,downscript=no"
    mac = f",mac={network.mac}" if network.mac else ""
    return ["-netdev", back, "-device", f"virtio-net-pci,netdev=net{mac}"]


def _cd(path: Path, number: int, hardware: Hardware) -> list[str]:
    drive = f"file={_escaped(path)},format=raw,media=cdrom,readonly=on"
    if hardware.platform.architecture == "amd64":
        return ["-drive", drive]
    # There is no other controller that CDs are found at.
    return [
        "-drive", f"{drive},if=none,id=cd{number}",
        "-device", f"virtio-scsi-pci,id=scsi{number}",
        "-device", f"scsi-cd,bus=scsi{number}.0,drive=cd{number}",
    ]  # fmt: skip


def _disk(disk: Disk, number: int) -> list[str]:
    drive = f"file={_escaped(disk.path)},format={disk.format}"
    last = ",readonly=on" if disk.read_only else ""
    if disk.bus == "virtio":
        return ["-drive", f"{drive},if=virtio{last}"]
    return [
        "-drive", f"{drive},if=none,id=disk{number}{last}",
        "-device", f"scsi-hd,bus=scsi.0,drive=disk{number}",
    ]  # fmt: skip


def _share(share: Share, number: int, state: Path | None) -> list[str]:
    if share.kind == "9p":
        last = ",readonly=on" if share.read_only else ""
        source = f"path={_escaped(share.path)},mount_tag={share.tag},security_model=mapped-xattr{last}"
        return ["-virtfs", f"local,{source}"]
    assert state is not None
    return [
        "-chardev", f"socket,id=share{number},path={_escaped(state / f'share{number}')}",
        "-device", f"vhost-user-fs-pci,chardev=share{number},tag={share.tag}",
    ]  # fmt: skip


def _vsock(number: int) -> list[str]:
    if not number:
        return []
    if not os.path.exists("/dev/vhost-vsock"):
        raise NotFound("there is no /dev/vhost-vsock", hint="modprobe vhost_vsock")
    return ["-device", f"vhost-vsock-pci,guest-cid={number}"]


def _screen(hardware: Hardware) -> list[str]:
    """Which window it is, qemu knows best."""
    if not hardware.window:
        return ["-display", "none"]
    screen = "virtio-vga" if hardware.platform.architecture == "amd64" else "virtio-gpu-pci"
    return [
        word for each in (screen, "virtio-keyboard-pci", "virtio-tablet-pci") for word in ("-device", each)
    ]


def _devices(hardware: Hardware) -> list[str]:
    bus = ["qemu-xhci"] if hardware.usb else []
    return [word for device in (*bus, *hardware.devices) for word in ("-device", device)]


def _escaped(path: Path) -> str:
    """A path among qemu's options, where a comma is doubled."""
    return str(path).replace(",", ",,")
