"""Mounting: mount(2) and its kin, the mount table, and paths that do not lead out of a root."""

from moby.host.mounting import bind_mount, make_private, mount, move, set_attributes, unmount
from moby.host.mounts.grafts import graft
from moby.host.mounts.kernel_trees import is_made_up
from moby.host.mounts.overlays import Overlay, describe_as_below, in_first_user_namespace, overlay_of
from moby.host.mounts.paths import (
    open_beneath,
    open_on_same_mount,
    open_without_links,
    opened_beneath,
    resolve_in_root,
)
from moby.host.mounts.table import MountEntry, is_mount_point, mount_of, mount_table, parse_mountinfo
from moby.host.mounts.temporary import free_abandoned, mounted

__all__ = [
    "MountEntry",
    "Overlay",
    "bind_mount",
    "describe_as_below",
    "free_abandoned",
    "graft",
    "in_first_user_namespace",
    "is_made_up",
    "is_mount_point",
    "make_private",
    "mount",
    "mount_of",
    "mount_table",
    "mounted",
    "move",
    "open_beneath",
    "open_on_same_mount",
    "open_without_links",
    "opened_beneath",
    "overlay_of",
    "parse_mountinfo",
    "resolve_in_root",
    "set_attributes",
    "unmount",
]
