"""This file is about the engine's settings: dockerd's keys in daemon.json, its flags, their defaults.

Each field's metadata says how it is written on the command line and whether it has an effect here: what has
none yet is refused when it is set to anything but its default, rather than ignored. On one that is `idle`
nothing here depends, whatever it says: it is accepted, and a line of the log says so.
"""

# No annotations from the future: these are read at every start, and would be compiled then, one by one.
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, get_type_hints

import msgspec

from moby.core.errors import InvalidParameter, NotImplemented
from moby.core.types.containers import Ulimit


class Key(msgspec.Struct, frozen=True):
    """What is known of a setting besides its type; `flag` without dashes, empty for none."""

    about: str
    flag: str = ""
    short: str = ""
    works: bool = True
    reloads: bool = False
    idle: bool = False


def _meta(
    about: str,
    flag: str = "",
    short: str = "",
    *,
    works: bool = True,
    reloads: bool = False,
    idle: bool = False,
) -> msgspec.Meta:
    return msgspec.Meta(extra={"key": Key(about, flag, short, works, reloads, idle)})


Strings = tuple[str, ...]


class RuntimeEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """An OCI runtime by its path, with arguments of its own, or a containerd shim by its type."""

    path: str = ""
    runtime_args: Strings = ()
    runtime_type: str = ""
    options: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Proxies(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Proxies for registries."""

    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""


class EngineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Everything that can be set."""

    # Where it listens
    hosts: Annotated[Strings, _meta("where to listen: unix://, tcp://, fd://", "host", "H")] = ()
    group: Annotated[str, _meta("the group that may use the unix socket", "group", "G")] = "docker"
    tls: Annotated[bool, _meta("use TLS; implied by --tlsverify", "tls")] = False
    tlsverify: Annotated[bool, _meta("use TLS and verify clients", "tlsverify")] = False
    tlscacert: Annotated[str, _meta("trust certificates signed by this CA", "tlscacert")] = ""
    tlscert: Annotated[str, _meta("the server's certificate", "tlscert")] = ""
    tlskey: Annotated[str, _meta("the server's key", "tlskey")] = ""
    min_api_version: Annotated[str, _meta("the oldest API version", works=False)] = ""

    # Where it keeps things
    data_root: Annotated[str, _meta("where everything is kept", "data-root")] = "/var/lib/docker"
    exec_root: Annotated[str, _meta("where the state of what runs is kept", "exec-root")] = "/var/run/docker"
    pidfile: Annotated[str, _meta("where the daemon's process number is written", "pidfile", "p")] = (
        "/var/run/docker.pid"
    )

    # What it says
    debug: Annotated[bool, _meta("log at the level debug", "debug", "D", reloads=True)] = False
    log_level: Annotated[str, _meta("debug, info, warn, error or fatal", "log-level", "l")] = "info"
    log_format: Annotated[str, _meta("text or json", "log-format")] = "text"
    raw_logs: Annotated[bool, _meta("time stamps in full, no colour", "raw-logs")] = False
    labels: Annotated[Strings, _meta("labels of this daemon", "label", reloads=True)] = ()
    experimental: Annotated[bool, _meta("experimental features", "experimental")] = False
    features: Annotated[Mapping[str, bool], _meta("features by name", "feature")] = msgspec.field(
        default_factory=dict
    )

    # containerd and runtimes
    containerd: Annotated[str, _meta("the socket of a containerd to use", "containerd")] = ""
    containerd_namespace: Annotated[str, _meta("containerd's namespace", "containerd-namespace")] = "moby"
    containerd_plugins_namespace: Annotated[
        str, _meta("containerd's namespace for plugins", "containerd-plugins-namespace", idle=True)
    ] = "plugins.moby"
    cri_containerd: Annotated[bool, _meta("start containerd with CRI", "cri-containerd", works=False)] = False
    default_runtime: Annotated[str, _meta("the OCI runtime", "default-runtime", reloads=True)] = ""
    runtimes: Annotated[Mapping[str, RuntimeEntry], _meta("more OCI runtimes", "add-runtime")] = (
        msgspec.field(default_factory=dict)
    )
    exec_opts: Annotated[Strings, _meta("options of runtimes", "exec-opt")] = ()
    cgroup_parent: Annotated[str, _meta("the cgroup above all containers'", "cgroup-parent")] = ""
    storage_driver: Annotated[
        str, _meta("the snapshotter: overlayfs, native or btrfs", "storage-driver", "s")
    ] = ""
    storage_opts: Annotated[Strings, _meta("options of the snapshotter", "storage-opt", works=False)] = ()

    # The default network
    bridge: Annotated[str, _meta("the default network's bridge; none for no such network", "bridge", "b")] = (
        ""
    )
    bip: Annotated[str, _meta("the bridge's address and subnet", "bip")] = ""
    bip6: Annotated[str, _meta("the bridge's IPv6 address", "bip6")] = ""
    fixed_cidr: Annotated[str, _meta("the part of the subnet for containers", "fixed-cidr")] = ""
    fixed_cidr_v6: Annotated[str, _meta("the IPv6 subnet for containers", "fixed-cidr-v6")] = ""
    default_gateway: Annotated[str, _meta("the gateway for containers", "default-gateway")] = ""
    default_gateway_v6: Annotated[str, _meta("the IPv6 gateway for containers", "default-gateway-v6")] = ""
    mtu: Annotated[int, _meta("the containers' MTU", "mtu")] = 1500
    icc: Annotated[bool, _meta("let containers reach each other", "icc")] = True
    ip: Annotated[str, _meta("the address for published ports", "ip")] = "0.0.0.0"  # noqa: S104 - as dockerd
    ip_forward: Annotated[bool, _meta("turn on forwarding", "ip-forward")] = True
    ip_forward_no_drop: Annotated[
        bool, _meta("do not drop forwarded packets by default", "ip-forward-no-drop")
    ] = False
    ip_masq: Annotated[bool, _meta("masquerade what leaves", "ip-masq")] = True
    iptables: Annotated[bool, _meta("make firewall rules (nftables here)", "iptables")] = True
    ip6tables: Annotated[bool, _meta("make IPv6 firewall rules", "ip6tables")] = True
    ipv6: Annotated[bool, _meta("IPv6 on the default network", "ipv6")] = False
    userland_proxy: Annotated[
        bool, _meta("reach containers without IPv6 by it, at published ports", "userland-proxy")
    ] = True
    userland_proxy_path: Annotated[
        str, _meta("a proxy's path; the daemon is its own", "userland-proxy-path", idle=True)
    ] = ""
    firewall_backend: Annotated[
        str,
        _meta(
            "nftables; iptables lets containers through the host's filter, as dockerd does",
            "firewall-backend",
        ),
    ] = ""
    allow_direct_routing: Annotated[
        bool, _meta("let unpublished ports be reached", "allow-direct-routing")
    ] = False
    bridge_accept_fwmark: Annotated[str, _meta("let marked packets through", "bridge-accept-fwmark")] = ""
    default_address_pools: Annotated[
        tuple[Mapping[str, Any], ...], _meta("where subnets come from", "default-address-pool")
    ] = ()
    default_network_opts: Annotated[
        Mapping[str, Mapping[str, str]],
        _meta("options of new networks", "default-network-opt"),
    ] = msgspec.field(default_factory=dict)
    network_control_plane_mtu: Annotated[
        int, _meta("the MTU between nodes of a cluster", "network-control-plane-mtu", idle=True)
    ] = 1500
    dns: Annotated[Strings, _meta("name servers for containers", "dns")] = ()
    dns_search: Annotated[Strings, _meta("search domains for containers", "dns-search")] = ()
    dns_opts: Annotated[Strings, _meta("resolver options for containers", "dns-opt")] = ()
    host_gateway_ips: Annotated[
        Strings, _meta("what host-gateway means, instead of the default bridge", "host-gateway-ip")
    ] = ()
    resolv_conf: Annotated[str, _meta("the host's resolv.conf", works=False)] = ""

    # Registries
    registry_mirrors: Annotated[Strings, _meta("mirrors of Docker Hub", "registry-mirror", reloads=True)] = ()
    insecure_registries: Annotated[
        Strings, _meta("registries without TLS, or with an unknown CA", "insecure-registry", reloads=True)
    ] = ()
    max_concurrent_downloads: Annotated[
        int, _meta("layers fetched at once", "max-concurrent-downloads", reloads=True)
    ] = 3
    max_concurrent_uploads: Annotated[
        int, _meta("layers sent at once", "max-concurrent-uploads", reloads=True)
    ] = 5
    max_download_attempts: Annotated[
        int, _meta("tries for a layer", "max-download-attempts", reloads=True)
    ] = 5
    proxies: Annotated[Proxies, _meta("proxies for registries")] = Proxies()
    http_proxy: Annotated[str, _meta("the proxy for http", "http-proxy")] = ""
    https_proxy: Annotated[str, _meta("the proxy for https", "https-proxy")] = ""
    no_proxy: Annotated[str, _meta("hosts without proxy", "no-proxy")] = ""
    allow_nondistributable_artifacts: Annotated[
        Strings, _meta("registries to push such layers to", works=False)
    ] = ()

    # Containers
    live_restore: Annotated[
        bool, _meta("leave containers running when the daemon stops", "live-restore", reloads=True)
    ] = True
    shutdown_timeout: Annotated[
        int, _meta("seconds for containers to stop at shutdown", "shutdown-timeout", reloads=True)
    ] = 15
    default_stop_timeout: Annotated[
        int, _meta("seconds between stop signal and kill", "default-stop-timeout", reloads=True)
    ] = 10
    log_driver: Annotated[str, _meta("the default log driver", "log-driver")] = "json-file"
    log_opts: Annotated[Mapping[str, str], _meta("its options", "log-opt")] = msgspec.field(
        default_factory=dict
    )
    default_ulimits: Annotated[
        Mapping[str, Ulimit], _meta("limits on containers' processes", "default-ulimit")
    ] = msgspec.field(default_factory=dict)
    default_shm_size: Annotated[int, _meta("bytes of /dev/shm", "default-shm-size", reloads=True)] = 64 << 20
    default_ipc_mode: Annotated[str, _meta("private or shareable", "default-ipc-mode")] = "private"
    default_cgroupns_mode: Annotated[str, _meta("host or private", "default-cgroupns-mode")] = ""
    no_new_privileges: Annotated[bool, _meta("for every container", "no-new-privileges")] = False
    seccomp_profile: Annotated[str, _meta("a profile's path, builtin, unconfined", "seccomp-profile")] = ""
    selinux_enabled: Annotated[bool, _meta("SELinux", "selinux-enabled", works=False)] = False
    userns_remap: Annotated[str, _meta("whose numbers containers have", "userns-remap")] = ""
    init: Annotated[bool, _meta("an init in every container", "init")] = False
    init_path: Annotated[str, _meta("its path", "init-path")] = ""
    default_init: Annotated[str, _meta("its path, as it was called", works=False)] = ""
    cpu_rt_period: Annotated[int, _meta("real-time period", "cpu-rt-period", works=False)] = 0
    cpu_rt_runtime: Annotated[int, _meta("real-time runtime", "cpu-rt-runtime", works=False)] = 0
    oom_score_adjust: Annotated[int, _meta("the daemon's OOM score", "oom-score-adjust")] = 0

    # What others do with it
    plugin_sockets: Annotated[str, _meta("where plugins have their sockets", "plugin-sockets")] = (
        "/run/docker/plugins"
    )
    plugin_specs: Annotated[Strings, _meta("where files say where plugins are", "plugin-specs")] = (
        "/etc/docker/plugins",
        "/usr/lib/docker/plugins",
    )
    plugin_wait: Annotated[
        int, _meta("seconds to wait for a plugin that is not there, or does not listen", "plugin-wait")
    ] = 15
    authorization_plugins: Annotated[
        Strings, _meta("plugins that say who may do what", "authorization-plugin", reloads=True)
    ] = ()
    metrics_addr: Annotated[str, _meta("where metrics are served", "metrics-addr", works=False)] = ""
    builder: Annotated[Mapping[str, Any], _meta("the builder", works=False)] = msgspec.field(
        default_factory=dict
    )
    cdi_spec_dirs: Annotated[Strings, _meta("device specifications", "cdi-spec-dir")] = ()
    nri_opts: Annotated[Mapping[str, Any], _meta("the Node Resource Interface", "nri-opts", works=False)] = (
        msgspec.field(default_factory=dict)
    )
    node_generic_resources: Annotated[
        Strings, _meta("resources for services", "node-generic-resource", works=False)
    ] = ()
    swarm_default_advertise_addr: Annotated[
        str, _meta("the cluster's address", "swarm-default-advertise-addr", works=False)
    ] = ""
    swarm_raft_heartbeat_tick: Annotated[int, _meta("the cluster's heartbeat", works=False)] = 0
    swarm_raft_election_tick: Annotated[int, _meta("the cluster's election", works=False)] = 0
    network_diagnostic_port: Annotated[
        int, _meta("network diagnosis", "network-diagnostic-port", works=False)
    ] = 0
    rootless: Annotated[bool, _meta("run without root", "rootless", works=False)] = False

    def __post_init__(self) -> None:
        """A limit's key is its name."""
        for name, limit in self.default_ulimits.items():
            limit.name = name


@cache
def keys() -> Mapping[str, Key]:
    """What is known of each attribute, in order."""
    hints = get_type_hints(EngineConfig, include_extras=True)
    return {name: hint.__metadata__[0].extra["key"] for name, hint in hints.items()}


def encoded_name(attribute: str) -> str:
    """The key in daemon.json of an attribute."""
    return attribute.replace("_", "-")


def _changed(config: EngineConfig) -> frozenset[str]:
    default = EngineConfig()
    return frozenset(name for name in keys() if getattr(config, name) != getattr(default, name))


def idle(config: EngineConfig) -> list[str]:
    """The keys of settings that are set although nothing here depends on them."""
    changed = _changed(config)
    return [encoded_name(name) for name, key in keys().items() if key.idle and name in changed]


def check(config: EngineConfig) -> None:
    """Raises NotImplemented for a setting that would have no effect, InvalidParameter for a wrong value."""
    changed = _changed(config)
    if refused := [name for name, key in keys().items() if not key.works and name in changed]:
        raise NotImplemented(f"the setting {encoded_name(refused[0])} is not supported yet")
    for name, allowed in (
        ("log_level", ("debug", "info", "warn", "error", "fatal")),
        ("log_format", ("text", "json")),
        ("default_ipc_mode", ("private", "shareable")),
        ("default_cgroupns_mode", ("", "private", "host")),
        ("storage_driver", ("", "overlay2", "overlayfs", "native", "btrfs")),
        ("firewall_backend", ("", "nftables", "iptables")),
    ):
        if getattr(config, name) not in allowed:
            raise InvalidParameter(f"invalid {encoded_name(name)}: {getattr(config, name)!r}")
    for option in config.exec_opts:
        if option != "native.cgroupdriver=cgroupfs":
            raise NotImplemented(f"the exec option {option} is not supported yet")
    for name in ("max_concurrent_downloads", "max_concurrent_uploads", "max_download_attempts"):
        if getattr(config, name) < 1:
            raise InvalidParameter(f"invalid {encoded_name(name)}: {getattr(config, name)}")
