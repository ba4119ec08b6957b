"""This file is about telling users which operations of the Engine API work: a page made from the routes."""

from __future__ import annotations

from collections.abc import Iterable

from moby.api.operations import EXPERIMENTAL, EXTENSIONS, OPERATIONS
from moby.api.routing import Route
from moby.api.versions import MAXIMUM, MINIMUM, show

_HEAD = """\
# Compatibility

`mobyd` speaks the Docker Engine API from v{minimum} to v{maximum}. Of the {total} operations of v{maximum},
{works} work, {partial} work in part, and {missing} answer `501 Not Implemented`, naming themselves. A field
of a request that is not supported yet is refused in the same way, never ignored.

This page is made from the table of routes.

| operation | request | state |
| --- | --- | --- |
"""

_CHOICES = """
## Where editions of dockerd differ

- The default runtime is called `runc` wherever it is shown, as clients expect. It is crun where crun can run;
  `docker info` shows its path. `--runtime crun` and `--runtime io.containerd.runc.v2` name one of the two.
- Links on the default bridge (`--link`) set variables about the linked container, as dockerd did up to
  version 28. `DOCKER_KEEP_DEPRECATED_LEGACY_LINKS_ENV_VARS=0` in the daemon's environment leaves them out,
  as newer editions do by default.
"""

_EXPERIMENTAL = """
## Where networks and volumes differ

- The bridge that `--bridge` names is made if it is not there. dockerd wants it made beforehand.
- A network plugin that names no gateway leaves a container the gateway of its subnet. dockerd connects such a
  container with a network of its own, `docker_gwbridge`, as well.
- An address that a container gave up rests as long as it can; dockerd grants the lowest that is free.
- A local volume's size (`-o size=`) needs Linux 5.14 and a file system with quotas of projects: XFS or ext4,
  mounted with `prjquota`.
- The packet filter is nftables' alone ([firewalls](how-to/firewall.md)). Options of a network that nobody
  knows are kept, as dockerd does; those that begin with `com.docker.network.` are refused by name.

## In experimental mode

As in dockerd these need `--experimental`; the definition of the API is silent about them. They also
need CRIU: `criu check` has to find nothing amiss with the kernel (Debian 12's CRIU 3.17 cannot run on
Linux 6.18, CRIU 4.2 can), and an OCI runtime that has it. runc has; Debian's crun has not, so that
containers need `--runtime io.containerd.runc.v2` there. Where something is missing, and with other shims,
the answer is `501 Not Implemented` and says what. `docker start --checkpoint-dir` works, which dockerd
refuses.

| operation | request |
| --- | --- |
"""

_OWN = """
## Beside the Engine API

[What Docker's engine does not do](extensions.md):

| operation | request |
| --- | --- |
"""


def page(routes: Iterable[Route]) -> str:
    """The page, in Markdown."""
    served = {route.operation: route for route in routes if route.operation in OPERATIONS}
    partial = sum(bool(route.partial) for route in served.values())
    head = _HEAD.format(
        minimum=show(MINIMUM),
        maximum=show(MAXIMUM),
        total=len(OPERATIONS),
        works=len(served) - partial,
        partial=partial,
        missing=len(OPERATIONS) - len(served),
    )
    lines = []
    for name, operation in OPERATIONS.items():
        route = served.get(name)
        state = "not yet" if route is None else f"in part: {route.partial}" if route.partial else "works"
        lines.append(f"| {name} | `{operation.method} {operation.path}` | {state} |\n")
    experimental = [f"| {name} | `{item.method} {item.path}` |\n" for name, item in EXPERIMENTAL.items()]
    own = [f"| {name} | `{item.method} {item.path}` |\n" for name, item in EXTENSIONS.items()]
    return head + "".join([*lines, _CHOICES, _EXPERIMENTAL, *experimental, _OWN, *own])
