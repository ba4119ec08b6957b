from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.runtime.spec.security import SecurityOptions, parse_security_options


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], SecurityOptions()),
        (["no-new-privileges"], SecurityOptions(no_new_privileges=True)),
        (["no-new-privileges:true"], SecurityOptions(no_new_privileges=True)),
        (["no-new-privileges=0"], SecurityOptions()),
        (["seccomp=unconfined"], SecurityOptions(seccomp="unconfined")),
        (['seccomp={"defaultAction": "a=b"}'], SecurityOptions(seccomp='{"defaultAction": "a=b"}')),
        (["apparmor:mine"], SecurityOptions(apparmor="mine")),
        (["label=disable", "label=type:some_t", "disable"], SecurityOptions()),
        (["writable-cgroups"], SecurityOptions(writable_cgroups=True)),
        (["writable-cgroups=false"], SecurityOptions(writable_cgroups=False)),
    ],
)
def test_what_can_be_asked(options: list[str], expected: SecurityOptions) -> None:
    assert parse_security_options(options) == expected


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("nonsense", 'invalid --security-opt 1: "nonsense"'),
        ("what=ever", 'invalid --security-opt 2: "what=ever"'),
        ("no-new-privileges=maybe", 'invalid --security-opt 2: "no-new-privileges=maybe"'),
        ("systempaths=unconfined", 'invalid --security-opt 2: "systempaths=unconfined"'),
    ],
)
def test_what_is_refused(option: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as failure:
        parse_security_options([option])
    assert failure.value.message == message


def test_the_daemons_default_can_be_taken_back() -> None:
    assert parse_security_options([], no_new_privileges=True).no_new_privileges
    assert not parse_security_options(["no-new-privileges=false"], no_new_privileges=True).no_new_privileges
