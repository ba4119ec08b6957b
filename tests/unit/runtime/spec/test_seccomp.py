from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.runtime.spec.seccomp import default_seccomp, parse_profile


def allowed(capabilities: frozenset[str]) -> set[str]:
    section = default_seccomp(capabilities)
    return {
        name for rule in section["syscalls"] for name in rule["names"] if rule["action"] == "SCMP_ACT_ALLOW"
    }


def test_what_the_default_profile_allows_depends_on_capabilities() -> None:
    plain = allowed(frozenset())
    assert "read" in plain
    assert not {"mount", "bpf", "setns"} & plain
    assert {"mount", "bpf", "setns", "unshare"} <= allowed(frozenset({"CAP_SYS_ADMIN"}))
    assert "reboot" in allowed(frozenset({"CAP_SYS_BOOT"}))


def test_everything_else_fails_with_eperm() -> None:
    section = default_seccomp(frozenset())
    assert (section["defaultAction"], section["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 1)


def test_a_profile_of_ones_own() -> None:
    section = parse_profile(
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "chmod", "action": "SCMP_ACT_ERRNO"}]}',
        frozenset(),
    )
    assert section is not None
    assert section["syscalls"] == [{"names": ["chmod"], "action": "SCMP_ACT_ERRNO"}]


def test_an_empty_profile_filters_nothing() -> None:
    assert parse_profile("{}", frozenset()) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("default", "Decoding seccomp profile failed"),
        ('{"syscalls": [7]}', "Decoding seccomp profile failed"),
        (
            '{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"], '
            '"archMap": [{"architecture": "SCMP_ARCH_X86"}]}',
            "both 'architectures' and 'archMap' are specified",
        ),
        (
            '{"syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW"}]}',
            "both 'name' and 'names' are specified",
        ),
    ],
)
def test_what_is_no_profile(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        parse_profile(text, frozenset())
