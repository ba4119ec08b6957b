"""This file is about a small RAM disk for a root on a disk: it loads drivers, finds it, and starts init.

Distributions' kernels have the drivers of disks and file systems as modules, which lie on the disk itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from moby.machine.initrd import compressed
from moby.machine.job import Job
from moby.machine.streams import cpio_stream
from moby.machine.tree import Node, Tree

_BUSYBOX = "bin/busybox"
_DEPENDENCIES = re.compile(r"lib/modules/[^/]+/modules\.dep")
_DRIVERS = (
    "virtio_pci", "virtio_mmio", "virtio_blk", "virtio_scsi", "sd_mod", "sr_mod", "ahci", "ata_piix", "nvme",
    "hv_storvsc", "xen_blkfront", "loop",
)  # fmt: skip
_FILE_SYSTEMS = {"iso": "iso9660"}
_MODULES = {"iso9660": "isofs"}
_INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for driver in {drivers}; do modprobe -q "$driver" 2> /dev/null; done
root=
for word in $(cat /proc/cmdline); do
    case "$word" in root=*) root=${{word#root=}} ;; esac
done
tries=0
while [ $tries -lt 150 ]; do
    for disk in ${{root:-/dev/vd? /dev/sd? /dev/sr? /dev/nvme?n? /dev/xvd?}}; do
        [ -b "$disk" ] || continue
        if mount -t {kind} -o ro "$disk" /root 2> /dev/null; then
            mount --move /dev /root/dev
            mount --move /sys /root/sys
            mount --move /proc /root/proc
            exec switch_root /root /sbin/init
        fi
    done
    tries=$((tries + 1))
    usleep 200000
done
echo "moby: no disk has a {kind} root"
exec sh
"""


def first_stage(job: Job, kind: str) -> Iterator[bytes] | None:
    """The RAM disk for a root that is `squashfs`, `erofs` or `iso`; None without busybox or modules."""
    busybox = job.tree.lookup(_BUSYBOX)
    index = next((path for path, _node in job.tree.sorted() if _DEPENDENCIES.fullmatch(path)), None)
    if busybox is None or index is None:
        return None
    tree = Tree()
    tree.put(_BUSYBOX, Node(mode=0o755, content=busybox.content))
    for folder in ("dev", "proc", "root", "sys"):
        tree.make_directories(folder)
    system = _FILE_SYSTEMS.get(kind, kind)
    drivers = [*_DRIVERS, _MODULES.get(system, system)]
    script = _INIT.format(drivers=" ".join(drivers), kind=system)
    tree.put("init", Node(mode=0o755, content=script.encode()))
    folder = index.rpartition("/")[0]
    node = job.tree.get(index)
    assert node is not None
    listed = parse_dependencies(node.read().decode())
    for path in needed(listed, drivers):
        module = job.tree.get(f"{folder}/{path}")
        if module is not None:
            tree.put(f"{folder}/{path}", module)
    tree.put(index, node)
    return compressed(cpio_stream(tree, job.moment), job.options.compression or "zstd")


def parse_dependencies(text: str) -> dict[str, list[str]]:
    """`modules.dep`: each module's path with the paths of those that it needs."""
    found = {}
    for line in text.splitlines():
        path, colon, rest = line.partition(":")
        if colon:
            found[path] = rest.split()
    return found


def needed(listed: Mapping[str, Sequence[str]], names: Sequence[str]) -> list[str]:
    """The paths of modules by their names, and of all that they need; unknown ones are left out."""
    by_name = {path.rpartition("/")[2].partition(".")[0].replace("-", "_"): path for path in listed}
    found: set[str] = set()
    for name in names:
        path = by_name.get(name.replace("-", "_"))
        if path is not None:
            found.update([path, *listed[path]])
    return sorted(found)
