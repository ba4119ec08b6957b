"""The kernel's packet filter: what is made directly, and nft's commands by libnftables in this process."""

from moby.host.nftables.library import Nftables

__all__ = ["Nftables"]
