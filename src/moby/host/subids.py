"""This file is about numbers that are a user's to give away (subuid(5), subgid(5)), and who that user is."""

from __future__ import annotations

import grp
import pwd
import shutil
import subprocess
from pathlib import Path

from moby.core.errors import InvalidParameter, System
from moby.core.idmaps import IdMap, IdRange

SUBUID, SUBGID = Path("/etc/subuid"), Path("/etc/subgid")
_DEFAULT, _USUAL_USER = "default", "dockremap"
_FIRST, _COUNT = 100_000, 65_536
_LIMIT = 1 << 31


def user_and_group(setting: str) -> tuple[str, str]:
    """Whom `USER[:GROUP]` names, by names or numbers; `default` is a user of our own, made if need be.

    Raises InvalidParameter in dockerd's words.
    """
    parts = setting.split(":")
    if len(parts) > 2:
        raise InvalidParameter(f'Invalid user/group specification in --userns-remap: "{setting}"')
    user = _user(parts[0])
    if len(parts) == 2:
        return user, _group(parts[1])
    if _is_number(parts[0]):
        return user, _group_of_number(int(parts[0]), "group")
    try:
        return user, grp.getgrnam(user).gr_name
    except KeyError as error:
        raise InvalidParameter(
            f'Error during gid lookup for "{user}": no matching entries in group file'
        ) from error


def _user(text: str) -> str:
    if _is_number(text):
        try:
            return pwd.getpwuid(int(text)).pw_name
        except KeyError as error:
            raise InvalidParameter(
                f"Uid {int(text)} has no entry in /etc/passwd: no matching entries in passwd file"
            ) from error
    name = _USUAL_USER if text == _DEFAULT else text
    try:
        return pwd.getpwnam(name).pw_name
    except KeyError as error:
        if text != _DEFAULT:
            raise InvalidParameter(
                f'Error during uid lookup for "{name}": no matching entries in passwd file'
            ) from error
    _make_user(name)
    return name


def _group(text: str) -> str:
    if _is_number(text):
        return _group_of_number(int(text), "passwd")
    try:
        return grp.getgrnam(text).gr_name
    except KeyError as error:
        raise InvalidParameter(
            f'Error during groupname lookup for "{text}": no matching entries in group file'
        ) from error


def _group_of_number(number: int, file: str) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError as error:
        raise InvalidParameter(
            f"Gid {number} has no entry in /etc/{file}: no matching entries in group file"
        ) from error


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) < _LIMIT


def _make_user(name: str) -> None:
    """A user that nobody is, with a range of numbers that nobody else has. Raises System."""
    shell = shutil.which("nologin") or "/usr/sbin/nologin"
    _run(name, "useradd", "--system", "--user-group", "--no-create-home", "--shell", shell, name)
    for file, option in ((SUBUID, "--add-subuids"), (SUBGID, "--add-subgids")):
        if not _ranges(file, {name}):
            first = free_range(file)
            _run(name, "usermod", option, f"{first}-{first + _COUNT - 1}", name)


def _run(name: str, *command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise System(f'Error during "{name}" user creation: {error}') from error
    if done.returncode:
        raise System(f'Error during "{name}" user creation: {done.stderr.strip()}')


def free_range(file: Path) -> int:
    """The first number of a range that nobody has."""
    first = _FIRST
    for start, count in sorted(_ranges(file, None)):
        if first < start + count and start < first + _COUNT:
            first = start + count
    return first


def _ranges(file: Path, names: set[str] | None) -> list[tuple[int, int]]:
    """The ranges of these users, in the order of the file; of all for None."""
    try:
        text = file.read_text()
    except FileNotFoundError:
        return []
    found = []
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        start, _, count = rest.partition(":")
        if (names is None or name in names) and start.strip().isdigit() and count.strip().isdigit():
            found.append((int(start), int(count)))
    return found


def id_map(user: str, subuid: Path = SUBUID, subgid: Path = SUBGID) -> IdMap:
    """The numbers of a user as those of a namespace. Raises InvalidParameter if it has none."""
    names = {user, str(pwd.getpwnam(user).pw_uid)}
    return IdMap(_mapped(subuid, names, user), _mapped(subgid, names, user))


def _mapped(file: Path, names: set[str], user: str) -> tuple[IdRange, ...]:
    found: list[IdRange] = []
    inside = 0
    for start, count in _ranges(file, names):
        found.append(IdRange(inside, start, count))
        inside += count
    if not found:
        raise InvalidParameter(f'error creating ID mappings: no subuid ranges found for user "{user}"')
    return tuple(found)
