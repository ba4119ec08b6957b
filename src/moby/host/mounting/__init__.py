"""Mounting by system calls, and the words of mount(8) for them; light enough for a monitor."""

from moby.host.mounting.calls import bind_mount, make_private, mount, move, set_attributes, unmount
from moby.host.mounting.options import parse_options

__all__ = ["bind_mount", "make_private", "mount", "move", "parse_options", "set_attributes", "unmount"]
