"""The components that need a kernel of their own, all in one machine."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from moby.cli.moby import run

pytestmark = [
    pytest.mark.boots,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="machines are run on x86-64"),
]

ASSEMBLY = """
kernel: {image: moby/kernel, cmdline: console=ttyS0}
init: [moby/init, moby/crun, moby/memlogd]
onboot:
  - {name: sysfs, image: moby/sysfs}
  - {name: dhcp, image: moby/dhcp, command: [/sbin/dhcpcd, --nobackground, -f, /dhcpcd.conf, "-1"]}
  - {name: rngd, image: moby/rngd, command: [/sbin/rngd, "-1"]}
  - {name: metadata, image: moby/metadata, command: [/usr/bin/metadata, cdrom]}
  - {name: ip, image: moby/ip, binds: ["/etc/ip:/etc/ip"], command: [ip, -b, /etc/ip/own.conf]}
  - {name: wg0, image: moby/ip, binds: ["/etc/ip:/etc/ip"], command: [/usr/bin/lk-wg-config, configure, /etc/ip/wg0.conf]}
  - {name: extend, image: moby/extend}
  - name: loop
    image: moby/losetup
    command: [/usr/bin/loopy, --create, --size, "6", /var/external/storage]
    runtime: {mounts: [{type: ext4, source: /dev/vda1, destination: /var/external}]}
  - {name: crypt, image: moby/dm-crypt, command: [/usr/bin/crypto, secret, /dev/loop0]}
  - {name: swap, image: moby/swap, command: [/swap.sh, --path, /var/external/swap, --size, 4M]}
  - name: swap-encrypted
    image: moby/swap
    command: [/swap.sh, --path, /var/external/hidden, --size, 4M, --encrypt, --condition, "part:/var/external:true"]
  - {name: none, image: moby/swap, command: [/swap.sh, --path, /var/none, --size, 4M, --condition, "part:/var/none"]}
  - {name: binfmt, image: moby/binfmt}
services:
  - {name: node_exporter, image: moby/node_exporter}
  - {name: ntpd, image: moby/ntp}
  - {name: acpid, image: moby/acpid}
  - {name: logwrite, image: moby/logwrite, command: [/usr/bin/logwrite, -max-log-size, "1000"]}
  - {name: kmsg, image: moby/kmsg}
  - {name: kept, image: moby/http, runtime: {mounts: [{type: ext4, source: /dev/mapper/secret, destination: /var/secret}]}}
files:
  - {path: etc/binfmt.d/own.conf, contents: "# mine\\n:own:E::own::/own:\\n"}
  - {path: etc/dm-crypt/key, contents: abcdefghijklmnopqrstuvwxyz123456, mode: "0600"}
  - {path: etc/sysfs.d/own.conf, contents: "# mine\\nkernel/mm/ksm/sleep_millisecs = 77\\n"}
  - path: etc/ip/own.conf
    contents: |
      link add own0 type dummy
      link set own0 up
      address add 10.9.8.7/24 dev own0
  - path: etc/ip/wg0.conf
    contents: |
      [Interface]
      Address = 192.168.2.1/24
      PrivateKey = KG7EKkHDkp7THfW5mOXcZzo3RbGAjq+ARMfJGFm5G1s=
      ListenPort = 51820
      [Peer]
      PublicKey = ZP7h1OjA1oIAmsAvMKujp2RAAC/f0kY814b3Xq6j/0Y=
      AllowedIPs = 192.168.3.0/24
checks:
  - {console: "swap: none, as nothing is mounted at /var/none", within: 600}
  - {console: "extend: /dev/vda is extended", within: 600}
  - {http: {port: 9100, path: /metrics, contains: node_memory_SwapTotal_bytes}}
  - {command: {run: [cat, /sys/kernel/mm/transparent_hugepage/enabled], contains: "[madvise]"}}
  - {command: {run: [cat, /sys/kernel/mm/ksm/sleep_millisecs], contains: "77"}}
  - {command: {run: [sh, -c, "cat /run/config/provider /run/config/greeting; hostname"], contains: "vdbhellotold"}}
  - {command: {run: [ip, address, show, dev, own0], contains: 10.9.8.7/24}}
  - {command: {run: [ip, route], contains: 192.168.3.0/24 dev wg0}}
  - {command: {run: [sh, -c, "set -- $(df -m /var/external | tail -n 1); test $2 -gt 36"]}}
  - {command: {run: [cat, /proc/swaps], contains: /mapper/swapfile}}
  - {command: {run: [sh, -c, "grep -c swap /proc/swaps"], contains: "2"}}
  - {command: {run: [grep, /var/secret ext4, /proc/mounts], contains: /dev/mapper/secret}}
  - {command: {run: [sh, -c, 'exit 1'], service: kept, status: 1}}
  - {command: {run: [sh, -c, 'read -r line < /www/index.html; echo $line'], service: kept, contains: built by moby}}
  - {command: {run: [sh, -c, "grep -h . /var/log/ntpd.log*"], contains: "ntp engine ready"}}
  - {command: {run: [sh, -c, "ls /var/log"], contains: kmsg.log.1}}
  - {command: {run: [logread], contains: "onboot.007-loop: loopy: /dev/loop0"}}
  - {command: {run: [pidof, acpid]}}
  - {command: {run: [cat, /run/binfmt_misc/qemu-aarch64, /run/binfmt_misc/own], contains: "interpreter /own"}}
"""


def disk(folder: Path) -> Path:
    """A disk that has grown: its partition takes two thirds of it."""
    whole, part = folder / "disk.img", folder / "part.img"
    part.write_bytes(bytes(32 << 20))
    subprocess.run(["mkfs.ext4", "-q", part], check=True)
    subprocess.run(["truncate", "-s", "48M", whole], check=True)
    subprocess.run(["sfdisk", "-q", whole], input=f"2048,{(32 << 20) // 512},83\n", text=True, check=True)
    with whole.open("r+b") as file:
        file.seek(2048 * 512)
        file.write(part.read_bytes())
    return whole


def test_components_do_their_work_in_one_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Emulated on a machine that is busy, a start takes a while.
    (tmp_path / "all.yml").write_text(
        re.sub(r"^(  - \{(command|http): .*)\}$", r"\1, within: 600}", ASSEMBLY, flags=re.MULTILINE)
    )
    (tmp_path / "user").write_text('{"greeting": {"content": "hello"}}')
    cd = tmp_path / "data.img"
    assert run(["metadata", "create", str(cd), "--file", str(tmp_path / "user"), "--hostname", "told"]) == 0
    console, junit = tmp_path / "console", tmp_path / "junit.xml"
    words = [
        "test",
        str(tmp_path / "all.yml"),
        "--accel",
        "tcg",
        "--console",
        str(console),
        "--junit",
        str(junit),
    ]
    status = run([*words, "--disk", str(disk(tmp_path)), "--disk", str(cd)])
    shown = console.read_text(errors="replace")[-3000:] if console.exists() else ""
    assert status == 0, capsys.readouterr().err + shown
    assert ET.fromstring(junit.read_text()).attrib["failures"] == "0"


def test_a_check_that_fails_is_told_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.yml").write_text(
        "kernel: {image: moby/kernel, cmdline: console=ttyS0}\n"
        "init: [moby/init, moby/crun]\n"
        "onboot: [{name: dhcp, image: moby/dhcp}]\n"
        "services: [{name: http, image: moby/http}]\n"
        "checks:\n"
        " - {http: {port: 80, contains: built by moby}, within: 600}\n"
        " - {http: {port: 80, path: /missing}, within: 30}\n"
        " - {command: {run: [sh, -c, 'echo why; exit 3'], service: http}, within: 30}\n"
    )
    report = tmp_path / "report"
    assert run(["test", str(tmp_path / "wrong.yml"), "--accel", "tcg", "--report", str(report)]) == 1
    assert "http on port 80/missing: not within 30 s: " in capsys.readouterr().err
    good, bad, command, *_console = report.read_text().splitlines()
    assert good == "ok      http on port 80/"
    # On a machine that is busy there may be no answer yet.
    assert bad.startswith("FAILED  http on port 80/missing: not within 30 s: ")
    assert bad.endswith(("status 404", "no answer")) or ": status 404, not 200" in bad or ": no answer" in bad
    assert command.startswith("FAILED  command in http: sh -c echo why; exit 3: not within 30 s: ")
