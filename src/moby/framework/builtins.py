"""This file is about every component that ships: role, name, and where it is.

A target is a class or a factory function, `module:attribute`; what its parameters are annotated with is what
it needs. `PARTS` are shared by several components and are not named in an assembly.
"""

from __future__ import annotations

from collections.abc import Mapping

BUILTINS: Mapping[str, Mapping[str, str]] = {
    "store": {"sqlite": "moby.engine.parts:sqlite_store"},
    "images": {"containerd": "moby.engine.parts:containerd_images"},
    "runtime": {"containerd": "moby.engine.parts:containerd_runtime"},
    "firewall": {"nftables": "moby.engine.parts:nftables"},
    "networks": {
        "bridge": "moby.engine.parts:bridge",
        "host": "moby.networks.drivers.host:Host",
        "ipvlan": "moby.networks.drivers.ipvlan:Ipvlan",
        "macvlan": "moby.networks.drivers.macvlan:Macvlan",
        "none": "moby.networks.drivers.none:NoNetwork",
    },
    "volumes": {"local": "moby.engine.parts:local_volumes"},
    "logs": {
        "awslogs": "moby.logs.drivers.awslogs:AwsLogs",
        "fluentd": "moby.logs.drivers.fluentd:Fluentd",
        "gcplogs": "moby.logs.drivers.gcplogs:GcpLogs",
        "gelf": "moby.logs.drivers.gelf:Gelf",
        "journald": "moby.logs.drivers.journald:Journald",
        "json-file": "moby.logs.drivers.json_file:JsonFile",
        "local": "moby.logs.drivers.local:LocalFile",
        "none": "moby.logs.drivers.none:NoLog",
        "splunk": "moby.logs.drivers.splunk:Splunk",
        "syslog": "moby.logs.drivers.syslog:Syslog",
    },
    "builder": {},
    "orchestrator": {},
}

# What a role's components are, for those who need one by its type.
ROLES: Mapping[str, str] = {
    "store": "moby.core.store:Store",
    "images": "moby.core.images:ImageStore",
    "runtime": "moby.core.runtime:Runtime",
    "firewall": "moby.host.nftables:Nftables",
    "networks": "moby.core.networks:NetworkDriver",
    "volumes": "moby.core.volumes:VolumeDriver",
    "logs": "moby.core.logs:LogDriver",
}

MANY = frozenset({"networks", "volumes", "logs"})
OPTIONAL = frozenset({"builder", "orchestrator"})

PARTS: Mapping[str, str] = {
    "moby.engine.parts:ContainerdChild": "moby.engine.parts:ContainerdChild",
    "moby.host.containerd.client:Containerd": "moby.engine.parts:containerd_client",
    "moby.core.plugins:Plugins": "moby.engine.parts:legacy_plugins",
    "moby.networks.ipam:Ipam": "moby.engine.parts:ipam",
    "moby.networks.ports:Ports": "moby.engine.parts:ports",
    "moby.networks.controller:Controller": "moby.engine.parts:network_controller",
}
