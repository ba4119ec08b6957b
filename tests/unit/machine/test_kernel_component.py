"""Updates of processors, as the kernel wants them before a RAM disk."""

from __future__ import annotations

from moby.machine.kernel_component import microcode
from moby.machine.tree import Node, Tree


def test_updates_of_a_maker_are_one_file() -> None:
    tree = Tree()
    tree.put("lib/firmware/intel-ucode/06-02", Node(content=b"second"))
    tree.put("usr/lib/firmware/intel-ucode/06-01", Node(content=b"first"))
    tree.put("lib/firmware/amd-ucode/microcode_amd.bin", Node(content=b"amd"))
    tree.put("lib/firmware/amd-ucode/microcode_amd.bin.asc", Node(content=b"signature"))
    tree.put("lib/firmware/other", Node(content=b"x"))
    found = microcode(tree)
    for name, binary, content in (
        ("intel-ucode.cpio", "GenuineIntel.bin", b"secondfirst"),
        ("amd-ucode.cpio", "AuthenticAMD.bin", b"amd"),
    ):
        names = [
            found[name].index(path) for path in (b"kernel\0", f"kernel/x86/microcode/{binary}\0".encode())
        ]
        assert names == sorted(names)
        assert content in found[name][names[1] :]
        assert found[name].startswith(b"070701")


def test_without_any_there_is_none() -> None:
    assert microcode(Tree()) == {}
