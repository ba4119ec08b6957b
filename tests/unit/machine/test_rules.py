"""What a machine must fulfil beyond its schema; every complaint names file, line and key."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.framework.assembly import parse
from moby.machine.rules import check_machine, identity, numbered


@pytest.mark.parametrize(("text", "said"), [
    pytest.param("services:\n - {name: a, image: b}\n - name: a\n   image: b\n",
                 "a.yml:3: services[1].name: 'a' is there already, at a.yml:2", id="duplicate service"),
    pytest.param("onboot:\n - {name: ../a, image: b}\n", "a.yml:2: onboot[0].name: '../a' is no name", id="name"),
    pytest.param("init:\n - moby/init\n - Bad\n", "a.yml:3: init[1]: 'Bad': invalid reference format", id="image"),
    pytest.param("init: ['@pkg:./x']\n", "a.yml:1: init[0]: '@pkg:./x': ", id="package template"),
    pytest.param("services:\n - name: a\n   image: ''\n", "a.yml:3: services[0].image: no image is named", id="none"),
    pytest.param("files:\n - {path: a/../b, contents: x}\n", "a.yml:2: files[0].path: 'a/../b' is no path", id="dots"),
    pytest.param("files:\n - {path: a}\n", "a.yml:2: files[0]: a has no contents", id="empty file"),
    pytest.param("files:\n - {path: a, contents: x, source: y}\n", "a.yml:2: files[0].source: a cannot have", id="two"),
    pytest.param("files:\n - {path: a, contents: x}\n - {path: /a/, contents: y}\n",
                 "a.yml:3: files[1].path: a is there already, as files[0]", id="file twice"),
    pytest.param("files:\n - {path: a/b, contents: x}\n - {path: a, contents: y}\n",
                 "a.yml:2: files[0].path: a/b cannot be below a file, which files[1] is", id="below a file"),
    pytest.param("files:\n - {path: a, contents: x, mode: '0999'}\n", "a.yml:2: files[0].mode: '0999' is no", id="mode"),
    pytest.param("files:\n - {path: a, contents: x, optional: true}\n", "a.yml:2: files[0].optional: only", id="optional"),
    pytest.param("trust:\n  org: [x]\n", "a.yml:1: trust: Notary's content trust is not supported", id="trust"),
    pytest.param("volumes:\n - {name: A}\n", "a.yml:2: volumes[0].name: 'A' is no name", id="volume name"),
    pytest.param("volumes:\n - {name: a}\n - {name: a}\n", "a.yml:3: volumes[1].name: 'a' is there", id="volume twice"),
    pytest.param("volumes:\n - {name: a, format: oci}\n", "a.yml:2: volumes[0].format: an oci volume needs", id="oci"),
    pytest.param("checks:\n - {within: 5}\n", "a.yml:2: checks[0]: a check is one of", id="empty check"),
    pytest.param("checks:\n - {console: '('}\n", "a.yml:2: checks[0].console: no regular expression", id="expression"),
    pytest.param("checks:\n - http: {port: 0}\n", "a.yml:2: checks[0].http.port: 0 is no port", id="port"),
])  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(text: str, said: str) -> None:
    with pytest.raises(InvalidParameter) as error:
        check_machine(parse(text, "a.yml"))
    assert error.value.message.startswith(said)


def test_what_linuxkit_takes_is_right() -> None:
    check_machine(parse(
        "kernel: {image: 'linuxkit/kernel:6.6', cmdline: console=ttyS0}\n"
        "init: ['linuxkit/init:abc', ./own.tar]\n"
        "onboot: [{name: a, image: x}, {name: a, image: x, command: [b]}]\n"
        "files:\n"
        " - {path: etc, directory: true}\n - {path: etc, directory: true, mode: '0755'}\n"
        " - {path: etc/link, symlink: target}\n - {path: etc/m, metadata: yaml}\n"
        " - {path: etc/o, source: ~/x, optional: true, uid: 0, gid: a}\n"
        "volumes: [{name: v, image: x, readonly: true}]\n",
        "a.yml",
    ))  # fmt: skip


def test_containers_names_are_users() -> None:
    names = numbered(parse("onboot: [{name: a, image: x}]\nservices: [{name: b, image: x}]\n", "a.yml"))
    assert names == {"a": 100, "b": 101}
    assert [identity(value, names) for value in (None, "", "root", 7, "7", "b")] == [0, 0, 0, 7, 7, 101]
    for wrong in ("c", -1, 2**32 - 1):
        with pytest.raises(InvalidParameter):
            identity(wrong, names)
