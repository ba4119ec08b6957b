"""This file is about `--security-opt`: what a container asks of seccomp, AppArmor, SELinux."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import msgspec

from moby.core.errors import InvalidParameter

BUILTIN, UNCONFINED = "builtin", "unconfined"
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_APPARMOR = Path("/sys/module/apparmor/parameters/enabled")
_APPARMOR_PROFILES = Path("/sys/kernel/security/apparmor/profiles")
_APPARMOR_DEFAULT = "docker-default"


class SecurityOptions(msgspec.Struct, frozen=True):
    """What was asked; `seccomp` is a profile's text, `builtin`, `unconfined`, or empty for the daemon's."""

    seccomp: str = ""
    apparmor: str = ""
    no_new_privileges: bool = False
    writable_cgroups: bool | None = None


def parse_security_options(
    options: Sequence[str] | None, *, no_new_privileges: bool = False
) -> SecurityOptions:
    """The last of options that contradict each other counts. Raises InvalidParameter for an unknown one.

    Labels are SELinux's: where that is off they mean nothing, and any is accepted.
    """
    seccomp = apparmor = ""
    writable: bool | None = None
    for option in options or ():
        if option == "no-new-privileges":
            no_new_privileges = True
            continue
        if option == "writable-cgroups":
            writable = True
            continue
        if option == "disable":
            continue
        key, separator, value = option.partition("=" if "=" in option else ":")
        if not separator:
            raise InvalidParameter(f'invalid --security-opt 1: "{option}"')
        match key:
            case "label":
                continue
            case "apparmor":
                apparmor = value
            case "seccomp":
                seccomp = value
            case "no-new-privileges":
                no_new_privileges = _truth(option, value)
            case "writable-cgroups":
                writable = _truth(option, value)
            case _:
                raise InvalidParameter(f'invalid --security-opt 2: "{option}"')
    return SecurityOptions(seccomp, apparmor, no_new_privileges, writable)


def _truth(option: str, value: str) -> bool:
    if value in _TRUE or value in _FALSE:
        return value in _TRUE
    raise InvalidParameter(f'invalid --security-opt 2: "{option}"')


@cache
def _has_apparmor() -> bool:
    try:
        return _APPARMOR.read_text().startswith("Y") and _APPARMOR_PROFILES.exists()
    except OSError:
        return False


def apparmor_profile(asked: str, *, privileged: bool) -> str:
    """The AppArmor profile of a container, empty where the kernel has none to give.

    Docker's default profile is used if it has been loaded into the kernel; we load none ourselves.
    """
    if not _has_apparmor():
        return ""
    if asked:
        return asked
    if privileged:
        return UNCONFINED
    try:
        loaded = _APPARMOR_PROFILES.read_text()
    except OSError:
        return ""
    return _APPARMOR_DEFAULT if f"{_APPARMOR_DEFAULT} (" in loaded else ""
