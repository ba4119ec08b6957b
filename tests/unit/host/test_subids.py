from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter
from moby.core.idmaps import IdMap, IdRange
from moby.host.subids import free_range, id_map, user_and_group


def test_ranges_by_name_and_number_follow_each_other(tmp_path: Path) -> None:
    users, groups = tmp_path / "subuid", tmp_path / "subgid"
    users.write_text("# mine\nroot:1000:10\nother:0:5\n0:5000:5\nbroken\nroot:x:5\n")
    groups.write_text("root:2000:20\n")
    assert id_map("root", users, groups) == IdMap(
        (IdRange(0, 1000, 10), IdRange(10, 5000, 5)), (IdRange(0, 2000, 20),)
    )


def test_nothing_to_give(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match='no subuid ranges found for user "root"'):
        id_map("root", tmp_path / "none", tmp_path / "none")


@pytest.mark.parametrize(
    ("lines", "first"),
    [
        ("", 100000),
        ("a:100000:65536\n", 165536),
        ("a:150000:10\nb:100000:1\n", 150010),
        ("a:500000:65536\n", 100000),
    ],
)
def test_a_range_that_nobody_has(tmp_path: Path, lines: str, first: int) -> None:
    file = tmp_path / "subuid"
    file.write_text(lines)
    assert free_range(file) == first


def test_names_and_numbers_are_one() -> None:
    assert user_and_group("root") == user_and_group("0") == user_and_group("0:0") == ("root", "root")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("a:b:c", 'Invalid user/group specification in --userns-remap: "a:b:c"'),
        ("nobody at all", 'Error during uid lookup for "nobody at all": no matching entries in passwd file'),
        ("1234567", "Uid 1234567 has no entry in /etc/passwd: no matching entries in passwd file"),
        ("root:1234567", "Gid 1234567 has no entry in /etc/passwd: no matching entries in group file"),
        ("root:no such", 'Error during groupname lookup for "no such": no matching entries in group file'),
    ],
)
def test_whom_nobody_is(setting: str, words: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        user_and_group(setting)
    assert caught.value.message == words
