"""Mounting: mount(2) and its kin, and paths that do not lead out of a root."""

from moby.host.mounts.paths import open_beneath, resolve_in_root
from moby.host.mounts.syscalls import bind_mount, mount, unmount
from moby.host.mounts.temporary import mounted

__all__ = ["bind_mount", "mount", "mounted", "open_beneath", "resolve_in_root", "unmount"]
