"""This file is about certificates for an engine that listens on TCP: an authority, a server's, a client's.

They are made by openssl. Beside them lies what a machine is told of them, for `moby run --data-file`.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from moby.core.errors import Conflict, InvalidParameter
from moby.host.files import translation
from moby.machine.job import scratch_folder
from moby.machine.native import native

DATA = "data.json"
_HOSTS = ("localhost", "127.0.0.1", "::1")
_FOR_MACHINE = ("ca.pem", "server-cert.pem", "server-key.pem")
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


async def make_certificates(folder: Path, hosts: Sequence[str] = (), days: int = 365) -> list[Path]:
    """Write `ca.pem`, `cert.pem` and `key.pem` (where docker's clients look), the server's, and `data.json`.

    All of them or none. Raises InvalidParameter, Conflict if there are some already, MobyError.
    """
    names = [_alternative(host) for host in dict.fromkeys([*_HOSTS, *hosts])]
    if (folder / "ca.pem").exists():
        raise Conflict(f"there are certificates in {folder} already")
    with translation(f"cannot write to {folder}"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with scratch_folder(folder) as scratch:
            before = os.umask(0o077)
            try:
                await _make(scratch, names, days)
            finally:
                os.umask(before)
            found = []
            for path in [*sorted(scratch.glob("*.pem")), scratch / DATA]:
                path.rename(folder / path.name)
                found.append(folder / path.name)
    return found


def _alternative(host: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(host)}"
    except ValueError:
        if not host.replace("-", "").replace(".", "").replace("*", "").isalnum():
            raise InvalidParameter(f"{host!r} is no name of a host") from None
        return f"DNS:{host}"


async def _make(folder: Path, names: Sequence[str], days: int) -> None:
    lifetime = ("-days", str(days))
    authority = ("-keyout", folder / "ca-key.pem", "-out", folder / "ca.pem", "-subj", "/CN=moby authority")
    await native("openssl", "req", "-x509", *_CURVE, *lifetime, *authority)
    for prefix, name, purpose in (("server-", "moby", "serverAuth"), ("", "client", "clientAuth")):
        key, request = folder / f"{prefix}key.pem", folder / "request"
        await native("openssl", "req", *_CURVE, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        more = [f"extendedKeyUsage={purpose}"]
        more += [f"subjectAltName={','.join(names)}"] if prefix else []
        (folder / "extensions").write_text("\n".join(more) + "\n")
        await native(
            "openssl", "x509", "-req",
            "-in", request,
            "-CA", folder / "ca.pem",
            "-CAkey", folder / "ca-key.pem",
            "-CAcreateserial", "-CAserial", folder / "serial",
            *lifetime,
            "-extfile", folder / "extensions",
            "-out", folder / f"{prefix}cert.pem",
        )  # fmt: skip
    entries = {name: {"content": (folder / name).read_text(), "perm": "0600"} for name in _FOR_MACHINE}
    (folder / DATA).write_bytes(msgspec.json.encode({"docker": {"perm": "0700", "entries": entries}}))
