"""The command line: every flag of dockerd is known, and what is wrong is said in its parser's words."""

from __future__ import annotations

import pytest

from moby.cli.flags import parse, usage
from moby.core.errors import InvalidParameter
from moby.engine.config import EngineConfig, keys

# What `dockerd --help` lists, without what is ours under the same name.
DOCKERD = [
    "add-runtime",
    "allow-direct-routing",
    "authorization-plugin",
    "bip",
    "bip6",
    "bridge",
    "bridge-accept-fwmark",
    "cdi-spec-dir",
    "cgroup-parent",
    "config-file",
    "containerd",
    "containerd-namespace",
    "containerd-plugins-namespace",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "cri-containerd",
    "data-root",
    "debug",
    "default-address-pool",
    "default-cgroupns-mode",
    "default-gateway",
    "default-gateway-v6",
    "default-ipc-mode",
    "default-network-opt",
    "default-runtime",
    "default-shm-size",
    "default-stop-timeout",
    "default-ulimit",
    "dns",
    "dns-opt",
    "dns-search",
    "exec-opt",
    "exec-root",
    "experimental",
    "feature",
    "firewall-backend",
    "fixed-cidr",
    "fixed-cidr-v6",
    "group",
    "help",
    "host",
    "host-gateway-ip",
    "http-proxy",
    "https-proxy",
    "icc",
    "init",
    "init-path",
    "insecure-registry",
    "ip",
    "ip-forward",
    "ip-forward-no-drop",
    "ip-masq",
    "ip6tables",
    "iptables",
    "ipv6",
    "label",
    "live-restore",
    "log-driver",
    "log-format",
    "log-level",
    "log-opt",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "metrics-addr",
    "mtu",
    "network-control-plane-mtu",
    "network-diagnostic-port",
    "no-new-privileges",
    "no-proxy",
    "node-generic-resource",
    "nri-opts",
    "oom-score-adjust",
    "pidfile",
    "raw-logs",
    "registry-mirror",
    "rootless",
    "seccomp-profile",
    "selinux-enabled",
    "shutdown-timeout",
    "storage-driver",
    "storage-opt",
    "swarm-default-advertise-addr",
    "tls",
    "tlscacert",
    "tlscert",
    "tlskey",
    "tlsverify",
    "userland-proxy",
    "userland-proxy-path",
    "userns-remap",
    "validate",
    "version",
]

# What a flag is given where a plain word would not do.
VALUES = {
    **dict.fromkeys(("dns", "ip", "default-gateway", "default-gateway-v6", "host-gateway-ip"), "10.0.0.9"),
    "default-address-pool": "base=10.0.0.0/8,size=24",
    "default-network-opt": "bridge=com.docker.network.driver.mtu=1400",
    "default-ulimit": "nofile=1:2",
    "feature": "containerd-snapshotter=true",
    "add-runtime": "mine=/bin/mine",
    "log-opt": "max-size=1m",
    "nri-opts": "enable=true",
    "default-shm-size": "64m",
}


@pytest.mark.parametrize("flag", DOCKERD)
def test_every_flag_of_dockerd_is_taken_in_both_forms(flag: str) -> None:
    key = next((name for name, key in keys().items() if key.flag == flag), None)
    if key is None:
        assert parse([f"--{flag}=true"]) is not None  # the command's own: --version and its like
        return
    default = getattr(EngineConfig(), key)
    value = VALUES.get(flag, "7" if type(default) is int else "true" if isinstance(default, bool) else "word")
    joined = parse([f"--{flag}={value}"]).settings
    assert list(joined) == [key]
    if isinstance(default, bool):
        assert parse([f"--{flag}"]).settings == {key: True}
        assert parse([f"--{flag}=false"]).settings == {key: False}
    else:
        assert parse([f"--{flag}", value]).settings == joined
    assert f"--{flag} " in usage()


def test_values_have_the_type_of_their_setting() -> None:
    found = parse(
        [
            "-D", "-H", "unix:///a", "-Htcp://b:1", "--label=a=b", "--label", "c=d", "--mtu", "1400",
            "--default-shm-size", "1.5gb", "--log-opt", "max-size=1m", "--log-opt=max-file=2",
            "--default-ulimit", "nofile=10:20", "--default-ulimit=nproc=5", "--add-runtime", "mine=/bin/mine",
            "--feature", "a", "--feature=b=false", "--default-address-pool", "base=10.0.0.0/8,size=24",
            "--default-network-opt", "bridge=a=1", "--default-network-opt=bridge=b=2=3",
        ]
    ).settings  # fmt: skip
    assert found == {
        "debug": True,
        "hosts": ("unix:///a", "tcp://b:1"),
        "labels": ("a=b", "c=d"),
        "mtu": 1400,
        "default_shm_size": 3 << 29,
        "log_opts": {"max-size": "1m", "max-file": "2"},
        "default_ulimits": {
            "nofile": {"Name": "", "Soft": 10, "Hard": 20},
            "nproc": {"Name": "", "Soft": 5, "Hard": 5},
        },
        "runtimes": {"mine": {"path": "/bin/mine"}},
        "features": {"a": True, "b": False},
        "default_address_pools": ({"base": "10.0.0.0/8", "size": 24},),
        "default_network_opts": {"bridge": {"a": "1", "b": "2=3"}},
    }


@pytest.mark.parametrize(("words", "expected"), [
    (["-DH", "unix:///a"], {"debug": True, "hosts": ("unix:///a",)}),
    (["-DHunix:///a"], {"debug": True, "hosts": ("unix:///a",)}),
    (["-D=false"], {"debug": False}),
    (["-lwarn"], {"log_level": "warn"}),
    (["-l=warn"], {"log_level": "warn"}),
    (["-p", "/run/p", "-G", "root", "-s", "overlay2", "-b", "none"],
     {"pidfile": "/run/p", "group": "root", "storage_driver": "overlay2", "bridge": "none"}),
])  # fmt: skip
def test_one_letter_flags_may_stand_together(words: list[str], expected: dict[str, object]) -> None:
    assert parse(words).settings == expected


def test_what_is_the_command_s_own() -> None:
    found = parse(["--config-file", "/c", "--assembly=/a.yml", "--validate"])
    assert (found.config_file, found.assembly, found.validate, found.settings) == ("/c", "/a.yml", True, {})
    assert (parse(["-v"]).version, parse(["-h"]).help, parse(["--validate=0"]).validate) == (
        True,
        True,
        False,
    )


@pytest.mark.parametrize(("words", "message"), [
    (["--nonsense"], "unknown flag: --nonsense"),
    (["--nonsense=1"], "unknown flag: --nonsense"),
    (["-x"], "unknown shorthand flag: -x"),
    (["-Dx"], "unknown shorthand flag: -x"),
    (["run"], '"mobyd" accepts no arguments: run'),
    (["-"], '"mobyd" accepts no arguments: -'),
    (["--mtu"], "flag needs an argument: --mtu"),
    (["-H"], "flag needs an argument: -H"),
    (["--config-file"], "flag needs an argument: --config-file"),
    (["--mtu", "big"],
     'invalid argument "big" for "--mtu" flag: strconv.ParseInt: parsing "big": invalid syntax'),
    (["--debug=maybe"],
     'invalid argument "maybe" for "--debug" flag: strconv.ParseBool: parsing "maybe": invalid syntax'),
    (["--default-shm-size=much"], 'invalid argument "much" for "--default-shm-size" flag: invalid size: \'much\''),
    (["--log-opt", "size"], 'invalid argument "size" for "--log-opt" flag: expected KEY=VALUE'),
    (["--default-address-pool", "x=y"],
     """invalid argument "x=y" for "--default-address-pool" flag: unexpected key 'x' in 'x=y'"""),
    (["--default-address-pool", "x"],
     """invalid argument "x" for "--default-address-pool" flag: invalid field 'x' must be a key=value pair"""),
    (["--ip", "abc"], 'invalid argument "abc" for "--ip" flag: failed to parse IP: "abc"'),
    (["--dns", "abc"], 'invalid argument "abc" for "--dns" flag: ParseAddr("abc"): unable to parse IP'),
    (["--dns-search", "a b"], 'invalid argument "a b" for "--dns-search" flag: a b is not a valid domain'),
])  # fmt: skip
def test_what_cannot_be_read_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(InvalidParameter) as error:
        parse(words)
    assert error.value.message == message


def test_the_usage_names_every_setting_once() -> None:
    lines = usage().splitlines()
    for key in keys().values():
        if key.flag:
            assert sum(f"--{key.flag}" in line.split()[:2] for line in lines) == 1, key.flag
    assert any("-H, --host" in line for line in lines)
