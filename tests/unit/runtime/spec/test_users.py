"""Whom a program runs as, by what a user says and what the image's files say."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.runtime.spec.users import User, resolve_user

PASSWD = b"""\
root:x:0:0:root:/root:/bin/sh
# a comment
odd
huge:x:4294967294:4294967294::/:/bin/false
web:x:1000:1001::/srv:/bin/sh
"""
GROUP = b"root:x:0:\nwheel:x:10:root,web\naudio:x:29:web\nhuge:x:4294967294:\n"


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("", User(0, 0, (), "/root")),
        ("web", User(1000, 1001, (10, 29), "/srv")),
        ("1000", User(1000, 1001, (10, 29), "/srv")),
        ("web:wheel", User(1000, 10, (), "/srv")),
        ("web:7", User(1000, 7, (), "/srv")),
        ("77", User(77)),
        # Older images of CentOS have it; who is not asked for harms nobody.
        ("huge", User(4294967294, 4294967294, (), "/")),
    ],
)
def test_by_name_and_by_number(text: str, user: User) -> None:
    found = resolve_user(text, PASSWD, GROUP)
    assert (found.uid, found.gid, found.home) == (user.uid, user.gid, user.home)
    assert set(user.groups) <= set(found.groups)


def test_groups_that_are_added() -> None:
    assert resolve_user("77", PASSWD, GROUP, ("audio", "5", "5")).groups == (29, 5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nobody", "unable to find user nobody: no matching entries in passwd file"),
        ("1" * 30, f"unable to find user {'1' * 30}: no matching entries in passwd file"),
        ("web:nobody", "unable to find group nobody: no matching entries in group file"),
        ("-1", "uids and gids must be in range 0-2147483647"),
        ("4294967296", "uids and gids must be in range 0-2147483647"),
        ("web:-1", "uids and gids must be in range 0-2147483647"),
    ],
)
def test_what_is_nobody(text: str, words: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        resolve_user(text, PASSWD, GROUP)
    assert caught.value.message == words
