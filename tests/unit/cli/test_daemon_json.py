"""daemon.json: every key of dockerd is known, what has no effect is refused, nothing is set twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moby.cli.daemon_json import load, merge
from moby.core.errors import InvalidParameter, MobyError, NotImplemented
from moby.engine.config import EngineConfig, encoded_name, idle, keys

# Every key that dockerd's documentation shows, with a value as it shows it.
DOCKERD: dict[str, Any] = {
    "allow-direct-routing": False,
    "authorization-plugins": [],
    "bip": "192.168.5.1/24",
    "bip6": "",
    "bridge": "none",
    "builder": {},
    "cdi-spec-dirs": ["/etc/cdi"],
    "cgroup-parent": "/docker",
    "containerd": "/run/containerd/containerd.sock",
    "containerd-namespace": "docker",
    "containerd-plugins-namespace": "plugins.moby",
    "data-root": "/srv/docker",
    "debug": True,
    "default-address-pools": [],
    "default-cgroupns-mode": "private",
    "default-gateway": "192.168.5.254",
    "default-gateway-v6": "",
    "default-ipc-mode": "shareable",
    "default-network-opts": {},
    "default-runtime": "runc",
    "default-shm-size": "64M",
    "default-stop-timeout": 30,
    "default-ulimits": {"nofile": {"Hard": 64000, "Name": "nofile", "Soft": 64000}},
    "dns": ["10.0.0.53"],
    "dns-opts": ["ndots:1"],
    "dns-search": ["example.org"],
    "exec-opts": ["native.cgroupdriver=cgroupfs"],
    "exec-root": "/run/docker",
    "experimental": True,
    "features": {"containerd-snapshotter": True},
    "firewall-backend": "nftables",
    "fixed-cidr": "192.168.5.0/25",
    "fixed-cidr-v6": "",
    "group": "docker",
    "host-gateway-ips": ["10.0.0.1", "fd00::1"],
    "hosts": ["unix:///run/docker.sock"],
    "icc": False,
    "init": True,
    "init-path": "/usr/bin/tini",
    "insecure-registries": ["10.0.0.0/8"],
    "ip": "127.0.0.1",
    "ip-forward": False,
    "ip-masq": False,
    "ip6tables": True,
    "iptables": True,
    "ipv6": False,
    "labels": ["a=b"],
    "live-restore": False,
    "log-driver": "json-file",
    "log-format": "json",
    "log-level": "warn",
    "log-opts": {"max-size": "10m"},
    "max-concurrent-downloads": 4,
    "max-concurrent-uploads": 6,
    "max-download-attempts": 7,
    "metrics-addr": "",
    "mtu": 1400,
    "network-control-plane-mtu": 1500,
    "no-new-privileges": True,
    "node-generic-resources": [],
    "oom-score-adjust": -500,
    "pidfile": "/run/docker.pid",
    "proxies": {"http-proxy": "http://p:80", "https-proxy": "https://p:443", "no-proxy": "*.test"},
    "raw-logs": True,
    "registry-mirrors": ["https://mirror.test"],
    "runtimes": {
        "cc": {"path": "/usr/bin/cc-runtime", "runtimeArgs": ["--debug"]},
        "kata": {"runtimeType": "io.containerd.kata.v2", "options": {"ConfigPath": "/k"}},
    },
    "seccomp-profile": "unconfined",
    "selinux-enabled": False,
    "shutdown-timeout": 20,
    "storage-driver": "overlay2",
    "storage-opts": [],
    "swarm-default-advertise-addr": "",
    "tls": True,
    "tlscacert": "/ca",
    "tlscert": "/cert",
    "tlskey": "/key",
    "tlsverify": True,
    "userland-proxy": False,
    "userland-proxy-path": "",
    "userns-remap": "",
}


def file(directory: Path, text: str | bytes) -> str:
    """A configuration file."""
    path = directory / "daemon.json"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def configured(directory: Path, values: object, **flags: Any) -> EngineConfig:
    """What a file and flags make."""
    return merge(load(file(directory, json.dumps(values))), flags)


@pytest.mark.parametrize("key", DOCKERD)
def test_every_key_of_dockerd_is_taken(tmp_path: Path, key: str) -> None:
    config = configured(tmp_path, {key: DOCKERD[key]})
    assert hasattr(config, key.replace("-", "_"))


def test_a_key_that_had_one_value(tmp_path: Path) -> None:
    assert configured(tmp_path, {"host-gateway-ip": "10.0.0.1"}).host_gateway_ips == ("10.0.0.1",)


def test_all_of_them_together(tmp_path: Path) -> None:
    config = configured(tmp_path, DOCKERD)
    assert config.default_shm_size == 64 << 20
    assert config.default_ulimits["nofile"].hard == 64000
    assert config.runtimes["cc"].runtime_args == ("--debug",)
    assert config.proxies.no_proxy == "*.test"


REFUSED: dict[str, Any] = {
    "allow_nondistributable_artifacts": ["a"], "builder": {"gc": {"enabled": True}}, "cpu_rt_period": 1,
    "cpu_rt_runtime": 1, "cri_containerd": True, "default_init": "/sbin/init", "metrics_addr": "127.0.0.1:9",
    "min_api_version": "1.40", "network_diagnostic_port": 1, "node_generic_resources": ["a=1"], "nri_opts": {"enable": True},
    "resolv_conf": "/r", "rootless": True, "selinux_enabled": True, "storage_opts": ["size=1g"],
    "swarm_default_advertise_addr": "a", "swarm_raft_election_tick": 1, "swarm_raft_heartbeat_tick": 1,
}  # fmt: skip


def test_what_nothing_depends_on_is_accepted_and_named(tmp_path: Path) -> None:
    values = {
        "containerd-plugins-namespace": "p",
        "userland-proxy-path": "/p",
        "network-control-plane-mtu": 1400,
    }
    assert idle(configured(tmp_path, values)) == list(values)
    assert idle(configured(tmp_path, {"mtu": 1400})) == []


@pytest.mark.parametrize("attribute", [name for name, key in keys().items() if not key.works])
def test_what_has_no_effect_refuses_to_be_set(tmp_path: Path, attribute: str) -> None:
    name = encoded_name(attribute)
    with pytest.raises(NotImplemented) as error:
        configured(tmp_path, {name: REFUSED[attribute]})
    assert error.value.message == f"the setting {name} is not supported yet"


@pytest.mark.parametrize(("values", "message"), [
    ({"log-level": "loud"}, "invalid log-level: 'loud'"),
    ({"log-format": "xml"}, "invalid log-format: 'xml'"),
    ({"default-ipc-mode": "host"}, "invalid default-ipc-mode: 'host'"),
    ({"default-cgroupns-mode": "none"}, "invalid default-cgroupns-mode: 'none'"),
    ({"storage-driver": "floppy"}, "invalid storage-driver: 'floppy'"),
    ({"max-download-attempts": 0}, "invalid max-download-attempts: 0"),
    ({"debug": "yes"}, "invalid configuration: Expected `bool`, got `str` - at `$.debug`"),
    ({"labels": "a=b"}, "invalid configuration: Expected `array`, got `str` - at `$.labels`"),
    ({"labels": ["a"]}, "bad attribute format: a"),
    ({"labels": ["a=b", "a=c"]}, "conflict labels for a=c and a=b"),
    ({"mtu": -1}, "invalid default MTU: -1"),
    ({"default-stop-timeout": -1}, "invalid default stop timeout: -1"),
    ({"host-gateway-ips": ["10.0.0.1", "fd00::1", "10.0.0.2"]},
     "only one IPv4 host gateway IP address can be specified"),
    ({"dns": ["name"]}, "IP address is not correctly formatted: name"),
    ({"registry-mirrors": ["mirror.test"]},
     "invalid mirror: no scheme specified for \"mirror.test\": must use either 'https://' or 'http://'"),
    ({"registry-mirrors": ["ftp://m"]},
     "invalid mirror: unsupported scheme \"ftp\" in \"ftp://m\": must use either 'https://' or 'http://'"),
    ({"registry-mirrors": ["https://m?a"]}, 'invalid mirror: query or fragment at end of the URI "https://m?a"'),
    ({"registry-mirrors": ["https://a:b@m/"]},
     'invalid mirror: username/password not allowed in URI "https://a:xxxxx@m/"'),
    ({"registry-mirrors": ["https://m:port"]}, 'invalid mirror: "https://m:port" is not a valid URI'),
    ({"features": {"cdi": True}}, "the feature cdi=true is not supported yet"),
    ({"features": {"containerd-snapshotter": False}},
     "the feature containerd-snapshotter=false is not supported yet"),
    ({"exec-opts": ["native.cgroupdriver=systemd"]},
     "the exec option native.cgroupdriver=systemd is not supported yet"),
])  # fmt: skip
def test_wrong_values_are_refused(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    with pytest.raises(MobyError) as error:
        configured(tmp_path, values)
    assert error.value.message == message


@pytest.mark.parametrize("label", ["com.docker.x=1", "IO.docker.y=1", "org.dockerproject.z=1"])
def test_docker_s_own_labels_are_reserved(tmp_path: Path, label: str) -> None:
    with pytest.raises(InvalidParameter, match="reserved for internal use"):
        configured(tmp_path, {"labels": [label]})


@pytest.mark.parametrize(("values", "flags", "listed"), [
    ({"debug": False}, {"debug": True}, "debug: (from flag: true, from file: false)"),
    ({"hosts": ["a", "b"]}, {"hosts": ("c",)}, "hosts: (from flag: [c], from file: [a b])"),
    ({"labels": ["a=b"]}, {"labels": ("c=d",)}, "labels: (from flag: [c=d], from file: [a=b])"),
    ({"insecure-registries": ["a"]}, {"insecure_registries": ("b",)},
     "insecure-registries: (from flag: [b], from file: [a])"),
    ({"log-opts": {"b": "1", "a": "2"}}, {"log_opts": {"c": "3"}},
     "log-opts: (from flag: map[c:3], from file: map[a:2 b:1])"),
    ({"proxies": {"http-proxy": "http://a:b@p"}}, {"http_proxy": "http://q"},
     "http-proxy: (from flag: http://q, from file: http://xxxxx:xxxxx@p)"),
    ({"mtu": 1, "ip": "1.2.3.4"}, {"mtu": 2, "ip": "4.3.2.1"},
     "mtu: (from flag: 2, from file: 1), ip: (from flag: 4.3.2.1, from file: 1.2.3.4)"),
])  # fmt: skip
def test_what_is_set_twice_is_refused(
    tmp_path: Path, values: dict[str, Any], flags: dict[str, Any], listed: str
) -> None:
    with pytest.raises(InvalidParameter) as error:
        configured(tmp_path, values, **flags)
    assert error.value.message == (
        f"the following directives are specified both as a flag and in the configuration file: {listed}"
    )


def test_runtimes_of_both_come_together(tmp_path: Path) -> None:
    config = configured(tmp_path, {"runtimes": {"a": {"path": "/a"}}}, runtimes={"b": {"path": "/b"}})
    assert {name: entry.path for name, entry in config.runtimes.items()} == {"a": "/a", "b": "/b"}


def test_unknown_keys_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter) as error:
        load(file(tmp_path, '{"debugg": true, "x": 1}'))
    assert error.value.message == (
        f"unable to configure the Docker daemon with file {tmp_path}/daemon.json: the following directives "
        "don't match any configuration option: debugg, x"
    )
    assert error.value.hint == "did you mean debug?"


@pytest.mark.parametrize("text", ["{", "[]", "nonsense", b"\xff", '{"default-shm-size": "much"}'])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(InvalidParameter, match="unable to configure the Docker daemon with file "):
        load(file(tmp_path, text))


def test_an_empty_file_and_a_missing_default_say_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(file(tmp_path, " \n")) == {}
    assert load(file(tmp_path, b"\xef\xbb\xbf{}")) == {}  # as Windows' editors write it
    monkeypatch.setattr("moby.cli.daemon_json.DEFAULT_PATH", tmp_path / "none")
    assert load("") == {}
    with pytest.raises(InvalidParameter, match="no such file or directory"):
        load(str(tmp_path / "none"))
    with pytest.raises(InvalidParameter, match="unable to configure"):
        load(str(tmp_path))
