"""Tar archives of directory trees that somebody else writes: packed and unpacked by descriptors."""

from moby.host.archives.layers import LayerTree
from moby.host.archives.members import MemberReader
from moby.host.archives.packing import Packer, PackOptions
from moby.host.archives.piping import fed, piped
from moby.host.archives.unpacking import UnpackOptions, unpack

__all__ = ["LayerTree", "MemberReader", "PackOptions", "Packer", "UnpackOptions", "fed", "piped", "unpack"]
