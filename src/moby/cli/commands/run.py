"""This file is about `moby run`: a machine in qemu, its console on this terminal, or by itself."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from moby.cli.commands.sources import add_source_flags, settings
from moby.core.errors import Conflict, InvalidParameter, NotFound, System

if TYPE_CHECKING:
    from moby.machine.runners.hardware import Disk, Hardware, Port
    from moby.machine.runners.states import State

T = TypeVar("T")


def add_hardware_flags(parser: argparse.ArgumentParser) -> None:
    """What the machine has."""
    parser.add_argument("--memory", "--mem", type=_count, default=1024, metavar="MIB", help="memory (1024)")
    parser.add_argument("--cpus", type=_count, default=1, help="processors (1)")
    parser.add_argument(
        "--accel", choices=("auto", "kvm", "tcg"), default="auto", help="how it is run (auto)"
    )


def _count(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 2**24:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of them")
    return int(text)


def add(verbs: Any) -> None:
    """The command and its flags."""
    parser = verbs.add_parser("run", help="run a machine in qemu")
    parser.add_argument(
        "machine",
        type=Path,
        metavar="FILE|PREFIX",
        help="an assembly, or what was built: a prefix, disk, CD or root",
    )
    parser.add_argument("more", type=Path, nargs="*", metavar="FILE", help="what is merged into an assembly")
    parser.add_argument(
        "-d",
        "--detach",
        action="store_true",
        help="let it run by itself; moby ps, logs, stop, start, rm and ssh",
    )
    parser.add_argument("--name", help="its name (what FILE or PREFIX is called)")
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="where machines are kept (~/.local/state/moby/machines)"
    )
    parser.add_argument(
        "-p", "--publish", action="append", default=[], metavar="[ADDR:]HOST:GUEST[/udp]", help="a port of it"
    )
    parser.add_argument(
        "--disk", action="append", default=[], metavar="[FILE][,size=1G][,format=qcow2][,bus=scsi]",
        help="a disk for it, made if it is not there; without FILE one that is kept with the machine",
    )  # fmt: skip
    parser.add_argument(
        "--network", default="user", metavar="user|tap=DEVICE|bridge=DEVICE|none",
        help="its network, with ,mac=MAC (user)",
    )  # fmt: skip
    parser.add_argument(
        "--share",
        action="append",
        default=[],
        metavar="FOLDER:TAG[,type=9p][,ro]",
        help="a folder for it, to mount by TAG",
    )
    parser.add_argument("--vsock", type=int, default=0, metavar="CID", help="its number among vsock's")
    parser.add_argument("--data", metavar="TEXT", help="what it is told, on a disk labelled cidata")
    parser.add_argument("--data-file", type=Path, metavar="FILE", help="the same, from a file")
    parser.add_argument("--uefi", action="store_true", help="start it by EFI, whatever it is called")
    parser.add_argument("--firmware", type=Path, metavar="FILE", help="start it by this firmware")
    parser.add_argument(
        "--append", default="", metavar="WORDS", help="more words for the kernel's command line"
    )
    _add_device_flags(parser)
    add_hardware_flags(parser)
    add_source_flags(parser)


def _add_device_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gui", action="store_true", help="a screen, a keyboard and a mouse, in a window")
    parser.add_argument("--usb", action="store_true", help="a bus for USB")
    parser.add_argument(
        "--device", action="append", default=[], metavar="DRIVER[,PROPERTY=VALUE]",
        help="another device, in qemu's words: usb-host,vendorid=0x1234,productid=0x5678",
    )  # fmt: skip


def do(chosen: argparse.Namespace) -> str:
    """Run it; returns when it has ended, or runs by itself."""
    from moby.machine.runners.states import State, default_states

    if chosen.data is not None and chosen.data_file is not None:
        raise InvalidParameter("--data and --data-file exclude each other")
    if chosen.detach or chosen.name:
        state = State(chosen.state or default_states(), chosen.name or chosen.machine.stem)
        with state.locked():
            return asyncio.run(
                interruptible(_detached(chosen, state) if chosen.detach else _here(chosen, state))
            )
    return asyncio.run(interruptible(_thrown_away(chosen)))


async def interruptible(work: Coroutine[Any, Any, T]) -> T:
    """SIGTERM ends it as ^C does, and its machine with it."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _thrown_away(chosen: argparse.Namespace) -> str:
    from moby.machine.job import scratch_folder
    from moby.machine.runners.states import State

    with scratch_folder(settings(chosen).cache / "run") as scratch:
        return await _here(chosen, State(scratch, "machine"))


async def _here(chosen: argparse.Namespace, state: State) -> str:
    """With the console on this terminal."""
    from moby.machine.runners.serving import serve

    argv, servers, _ports = await _prepared(chosen, state, ("-serial", "mon:stdio"))
    code = await serve(argv, servers, state.folder)
    if code != 0:
        raise System(f"qemu ended with status {code}")
    return ""


async def _detached(chosen: argparse.Namespace, state: State) -> str:
    from moby.machine.runners.states import CONSOLE, Machine

    if await state.pid():
        raise Conflict(f"the machine {state.name} runs already", hint="moby stop, or --name")
    console = (
        "-chardev",
        f"file,id=console,path={state.folder.absolute() / CONSOLE},append=on",
        "-serial",
        "chardev:console",
    )
    argv, servers, ports = await _prepared(chosen, state, console)
    ssh = next((port.host for port in ports if port.guest == 22 and port.protocol == "tcp"), 0)
    published = [f"{port.address}:{port.host}->{port.guest}/{port.protocol}" for port in ports]
    state.save(Machine(argv, servers, str(chosen.machine), published, ssh))
    await state.start()
    return state.name


async def _prepared(
    chosen: argparse.Namespace, state: State, console: tuple[str, ...]
) -> tuple[list[str], list[list[str]], tuple[Port, ...]]:
    """What is to be called: qemu, what serves it before, and the ports that it publishes."""
    from dataclasses import replace

    from moby.machine.data_disc import Data, write_data_disc
    from moby.machine.runners.boot import boot_of, efi_firmware, unpacked, with_variables
    from moby.machine.runners.hardware import Disk, make_disks
    from moby.machine.runners.qemu import command, servers

    # Words that are wrong are told before anything is built.
    disks = _disks(chosen, state)
    data = _data(chosen)
    hardware = await _hardware(chosen)
    state.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    prefix = await _built(chosen, state)
    boot = boot_of(prefix, hardware.platform)
    if chosen.uefi and boot.firmware is None:
        boot = replace(boot, firmware=efi_firmware(hardware.platform))
    await make_disks(disks)
    if data is not None:
        # No CD drive: its drivers come late, and what looks for the label finds it on any disk.
        disc = Disk(state.folder.absolute() / "data.iso", read_only=True)
        await write_data_disc(disc.path, Data(data, state.name, state.name))
        disks = (*disks, disc)
    cmdline = f"{boot.cmdline} {chosen.append}".strip()
    boot = replace(boot, cmdline=cmdline, disks=boot.disks + disks)
    folder = state.folder.absolute()
    boot = with_variables(boot, folder, hardware.platform)
    if chosen.firmware is not None:
        boot = replace(boot, firmware=chosen.firmware.absolute(), variables=None)
    if hardware.accel == "tcg":
        boot = unpacked(boot, folder, hardware.memory)
    argv = command(boot, hardware, console=console, state=folder)
    return argv, servers(hardware.shares, folder), hardware.ports


def _disks(chosen: argparse.Namespace, state: State) -> tuple[Disk, ...]:
    from dataclasses import replace

    from moby.machine.runners.hardware import parse_disk

    kept = [state.folder / f"disk{number}.img" for number in range(len(chosen.disk))]
    found = [parse_disk(text, unnamed) for text, unnamed in zip(chosen.disk, kept, strict=True)]
    return tuple(replace(disk, path=disk.path.absolute()) for disk in found)


def _data(chosen: argparse.Namespace) -> bytes | None:
    from moby.host.files import translation

    if chosen.data_file is None:
        return None if chosen.data is None else str(chosen.data).encode()
    with translation(f"cannot read {chosen.data_file}"):
        return Path(chosen.data_file).read_bytes()


async def _hardware(chosen: argparse.Namespace) -> Hardware:
    from moby.core.platform import host_platform
    from moby.machine.runners.accel import choose_accel
    from moby.machine.runners.hardware import (
        Hardware,
        check_vsock,
        parse_network,
        parse_port,
        parse_share,
    )

    ports = tuple(parse_port(text) for text in chosen.publish)
    if chosen.firmware is not None and not chosen.firmware.is_file():
        raise NotFound(f"there is no firmware {chosen.firmware}")
    network = parse_network(chosen.network)
    if ports and network.kind != "user":
        raise InvalidParameter(f"ports are not published on the network {network.kind}")
    shares = tuple(parse_share(text) for text in chosen.share)
    vsock = check_vsock(chosen.vsock)
    platform = settings(chosen).platform or host_platform()
    accel = await choose_accel(chosen.accel, platform)
    return Hardware(
        chosen.memory, chosen.cpus, ports, accel, platform, network, shares, vsock,
        chosen.usb, tuple(chosen.device), chosen.gui,
    )  # fmt: skip


async def _built(chosen: argparse.Namespace, state: State) -> Path:
    """The prefix of what is run; an assembly is built first."""
    from moby.machine.building import Order, build

    prefix: Path = chosen.machine
    if prefix.suffix not in (".yml", ".yaml"):
        if chosen.more:
            raise InvalidParameter(f"{chosen.more[0]}: only assemblies are merged")
        return prefix
    order = Order(prefix, "machine", state.folder, ["kernel+initrd"], papers=False, more=chosen.more)
    await build(order, settings(chosen), lambda text: print(f"moby: {text}", file=sys.stderr))
    return state.folder / "machine"
