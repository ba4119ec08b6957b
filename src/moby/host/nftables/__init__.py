"""The kernel's packet filter, by libnftables in this process."""

from moby.host.nftables.library import Nftables

__all__ = ["Nftables"]
