"""Sample plugins for networks and for addresses: bridges made with `ip`, and a pool kept in a file."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.sample_plugins import Sample

Request = dict[str, Any]


def ip(*words: str) -> None:
    """The command of that name."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


def networks(state: Path) -> Sample:
    """Networks as bridges, endpoints as veth pairs; `prefix` among a network's options names interfaces."""

    def bridge(request: Request) -> str:
        return f"sp-{request['NetworkID'][:8]}"

    def ends(request: Request) -> tuple[str, str]:
        return f"vh{request['EndpointID'][:8]}", f"vc{request['EndpointID'][:8]}"

    def create(request: Request) -> Any:
        options = request["Options"]["com.docker.network.generic"]
        if "wrong" in options:
            return {"Err": "unknown option wrong"}
        ip("link", "add", bridge(request), "type", "bridge")
        for pool in (*request["IPv4Data"], *request["IPv6Data"]):
            if "Gateway" in pool:
                ip("address", "add", pool["Gateway"], "dev", bridge(request))
        ip("link", "set", bridge(request), "up")
        (state / request["NetworkID"]).write_text(json.dumps(options))
        return {}

    def delete(request: Request) -> Any:
        ip("link", "delete", bridge(request))
        return {}

    def create_endpoint(request: Request) -> Any:
        host, inner = ends(request)
        ip("link", "add", host, "type", "veth", "peer", "name", inner)
        ip("link", "set", host, "master", bridge(request), "up")
        chosen = (
            {}
            if request["Interface"]["MacAddress"]
            else {"MacAddress": f"02:11:{bytes.fromhex(request['EndpointID'][:8]).hex(':')}"}
        )
        return {"Interface": chosen}

    def join(request: Request) -> Any:
        prefix = json.loads((state / request["NetworkID"]).read_text()).get("prefix", "eth")
        routes = [{"Destination": "198.51.100.0/24", "RouteType": 1, "NextHop": ""}]
        return {"InterfaceName": {"SrcName": ends(request)[1], "DstPrefix": prefix}, "StaticRoutes": routes}

    def delete_endpoint(request: Request) -> Any:
        ip("link", "delete", ends(request)[0])
        return {}

    methods: dict[str, Callable[[Request], Any]] = {
        "GetCapabilities": lambda _: {"Scope": "local", "ConnectivityScope": "local"},
        "CreateNetwork": create,
        "DeleteNetwork": delete,
        "CreateEndpoint": create_endpoint,
        "DeleteEndpoint": delete_endpoint,
        "EndpointOperInfo": lambda _: {"Value": {}},
        "Join": join,
        "Leave": lambda _: {},
    }
    return Sample(
        state, ["NetworkDriver"], {f"NetworkDriver.{name}": method for name, method in methods.items()}
    )


def addresses(state: Path) -> Sample:
    """Grants from `10.77.N.0/24`, or from the pool that is asked for; what is granted stands in `granted.json`."""
    lock = threading.Lock()

    def load() -> dict[str, list[str]]:
        path = state / "granted.json"
        found: dict[str, list[str]] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def save(granted: dict[str, list[str]]) -> None:
        (state / "granted.json").write_text(json.dumps(granted))

    def request_pool(request: Request) -> Any:
        granted = load()
        pool = request["Pool"] or next(
            one for number in range(256) if (one := f"10.77.{number}.0/24") not in granted
        )
        if pool in granted:
            return {"Error": f"{pool} is somebody else's"}
        save({**granted, pool: []})
        return {"PoolID": pool, "Pool": pool, "Data": {}}

    def release_pool(request: Request) -> Any:
        granted = load()
        del granted[request["PoolID"]]
        save(granted)
        return {}

    def request_address(request: Request) -> Any:
        granted = load()
        area, taken = ipaddress.ip_network(request["PoolID"]), granted[request["PoolID"]]
        address = request["Address"] or next(str(one) for one in area.hosts() if str(one) not in taken)
        if address in taken:
            return {"Error": f"{address} is taken"}
        taken.append(address)
        save(granted)
        return {"Address": f"{address}/{area.prefixlen}"}

    def release_address(request: Request) -> Any:
        granted = load()
        granted[request["PoolID"]].remove(request["Address"])
        save(granted)
        return {}

    def guarded(method: Callable[[Request], Any]) -> Callable[[Request], Any]:
        def run(request: Request) -> Any:
            with lock:
                return method(request)

        return run

    methods: dict[str, Callable[[Request], Any]] = {
        "GetCapabilities": lambda _: {"RequiresMACAddress": True},
        "GetDefaultAddressSpaces": lambda _: {
            "LocalDefaultAddressSpace": "here",
            "GlobalDefaultAddressSpace": "all",
        },
        "RequestPool": request_pool,
        "ReleasePool": release_pool,
        "RequestAddress": request_address,
        "ReleaseAddress": release_address,
    }
    return Sample(
        state, ["IpamDriver"], {f"IpamDriver.{name}": guarded(method) for name, method in methods.items()}
    )
