"""This file is about the host's own packet filter, the one that `iptables` shows, and us in it.

Our tables only add to what the host forbids: with a policy of DROP for what is forwarded, containers are cut
off until the administrator lets them through. dockerd lets them through itself, and looks at the
administrator's chain DOCKER-USER first; with the setting `firewall-backend` `iptables` we do so too:

    filter FORWARD    first jumps to DOCKER-USER, then to MOBY-FORWARD
    MOBY-FORWARD      accepts what comes from our bridges or goes there; what our own tables drop is dropped
"""

from __future__ import annotations

import re

from moby.core.errors import NotFound
from moby.host.nftables import Nftables

_USER, _OURS = "DOCKER-USER", "MOBY-FORWARD"
_HOOK = "{ type filter hook forward priority filter; policy accept; }"
_HANDLE = re.compile(r"# handle (\d+)$")


class HostFilter:
    """Rules of ours in the tables `ip filter` and `ip6 filter`. Blocks: call it in a thread."""

    def __init__(self, nftables: Nftables) -> None:
        self._nftables = nftables

    def let_through(self, family: str, bridge: str) -> None:
        """What comes from this bridge or goes there is accepted, unless DOCKER-USER says otherwise."""
        table = f"{family} filter"
        lines = [f"add table {table}"]
        if self._listed(table, "FORWARD") is None:
            lines.append(f"add chain {table} FORWARD {_HOOK}")
        lines += [f"add chain {table} {chain}" for chain in (_USER, _OURS)]
        self._nftables.run("\n".join(lines))
        known = self._listed(table, _OURS) or ""
        missing = [
            f'add rule {table} {_OURS} {side} "{bridge}" counter accept'
            for side in ("iifname", "oifname")
            if f'{side} "{bridge}"' not in known
        ]
        # The jump that is to come first is put there last.
        forward = self._listed(table, "FORWARD") or ""
        missing += [
            f"insert rule {table} FORWARD counter jump {chain}"
            for chain in (_OURS, _USER)
            if f"jump {chain}" not in forward
        ]
        if missing:
            self._nftables.run("\n".join(missing))

    def forget(self, family: str, bridge: str) -> None:
        """Let a bridge's packets through no more; the rest stays. No error without."""
        table = f"{family} filter"
        for line in (self._listed(table, _OURS, handles=True) or "").splitlines():
            found = _HANDLE.search(line)
            if found is not None and f'ifname "{bridge}"' in line:
                self._nftables.run(f"delete rule {table} {_OURS} handle {found[1]}")

    def _listed(self, table: str, chain: str, *, handles: bool = False) -> str | None:
        try:
            return self._nftables.run(f"list chain {table} {chain}", handles=handles)
        except NotFound:
            return None
