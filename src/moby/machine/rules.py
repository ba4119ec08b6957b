"""This file is about what a machine must fulfil beyond its schema: names, files, modes, images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain

from moby.core.errors import InvalidParameter
from moby.core.reference import parse_reference
from moby.framework.assembly import Assembly
from moby.framework.machine import Check, Container, File, Volume

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VOLUME = re.compile(r"[a-z0-9_-]+")
_OCTAL = re.compile(r"0?o?[0-7]{1,4}")
ARCHIVE_PREFIXES = ("./", "../", "/", "~/")


def check_machine(assembly: Assembly) -> None:
    """Raises InvalidParameter naming file, line and key of the first thing that is wrong."""
    machine = assembly.machine
    if isinstance(machine.trust, dict):
        raise assembly.wrong(
            "trust", "Notary's content trust is not supported", hint="a list of rules: match and keys"
        )
    for index, rule in enumerate(machine.trust or []):
        if not rule.match or not rule.keys:
            raise assembly.wrong(f"trust[{index}]", "a rule has a pattern to match and keys")
    for key, image in machine.images():
        _check_image(assembly, key, image)
    for section in ("onboot", "onshutdown", "services"):
        _check_names(assembly, section, getattr(machine, section), unique=section == "services")
    _check_volumes(assembly, machine.volumes)
    _check_files(assembly, machine.files)
    for index, check in enumerate(machine.checks):
        _check_check(assembly, f"checks[{index}]", check)


def is_archive(image: str) -> bool:
    """Does an assembly name a file here, and not an image of a registry?"""
    return image.startswith(ARCHIVE_PREFIXES)


def mode_of(text: str, default: int) -> int:
    """A mode from its octal digits. Raises InvalidParameter."""
    if not text:
        return default
    if not _OCTAL.fullmatch(text):
        raise InvalidParameter(f"{text!r} is no mode in octal digits")
    return int(text.lower().replace("o", ""), 8)


def _check_image(assembly: Assembly, key: str, image: str) -> None:
    if not image:
        raise assembly.wrong(key, "no image is named")
    if is_archive(image):
        return
    try:
        parse_reference(image)
    except InvalidParameter as error:
        hint = None
        if image.startswith("@pkg:"):
            hint = "packages are not looked up by their folder: name the image"
        raise assembly.wrong(key, f"{image!r}: {error.message}", hint=hint) from error


def _check_names(assembly: Assembly, section: str, containers: Sequence[Container], *, unique: bool) -> None:
    first: dict[str, int] = {}
    for index, container in enumerate(containers):
        key = f"{section}[{index}].name"
        if not _NAME.fullmatch(container.name):
            raise assembly.wrong(
                key, f"{container.name!r} is no name: letters, digits, and _ . - after the first"
            )
        if unique and container.name in first:
            where = assembly.places.get(f"{section}[{first[container.name]}].name", assembly.name)
            raise assembly.wrong(key, f"{container.name!r} is there already, at {where}")
        first.setdefault(container.name, index)


def _check_volumes(assembly: Assembly, volumes: Sequence[Volume]) -> None:
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        key = f"volumes[{index}]"
        if not _VOLUME.fullmatch(volume.name):
            raise assembly.wrong(f"{key}.name", f"{volume.name!r} is no name: small letters, digits, _ and -")
        if volume.name in seen:
            raise assembly.wrong(f"{key}.name", f"{volume.name!r} is there already")
        if volume.format == "oci" and not volume.image:
            raise assembly.wrong(f"{key}.format", "an oci volume needs an image")
        if volume.platforms and volume.format != "oci":
            raise assembly.wrong(f"{key}.platforms", "only an oci volume has platforms")
        seen.add(volume.name)


def place_of(path: str) -> str:
    """A path below the machine's root, without slashes around it. Raises InvalidParameter."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or "\0" in path:
        raise InvalidParameter(f"{path!r} is no path below the root")
    return "/".join(parts)


def _check_files(assembly: Assembly, files: Sequence[File]) -> None:
    kinds: dict[str, tuple[int, str]] = {}
    for index, file in enumerate(files):
        key = f"files[{index}]"
        try:
            place = place_of(file.path)
            mode_of(file.mode, 0)
        except InvalidParameter as error:
            field = "mode" if "mode" in error.message else "path"
            raise assembly.wrong(f"{key}.{field}", error.message) from error
        kind = _kind(assembly, key, file)
        before = kinds.get(place)
        if before is not None and not (kind == before[1] == "directory"):
            raise assembly.wrong(f"{key}.path", f"{place} is there already, as files[{before[0]}]")
        kinds[place] = (index, kind)
    for place, (index, _kind_of) in kinds.items():
        parents = place.split("/")[:-1]
        for depth in range(1, len(parents) + 1):
            above = kinds.get("/".join(parents[:depth]))
            if above is not None and above[1] == "file":
                raise assembly.wrong(
                    f"files[{index}].path", f"{place} cannot be below a file, which files[{above[0]}] is"
                )


def _kind(assembly: Assembly, key: str, file: File) -> str:
    """`directory`, `symlink` or `file`. Raises InvalidParameter unless it is exactly one of them."""
    given = [
        name
        for name, there in (
            ("directory", file.directory),
            ("symlink", bool(file.symlink)),
            ("contents", file.contents is not None),
            ("source", bool(file.source)),
            ("metadata", bool(file.metadata)),
        )
        if there
    ]
    if not given:
        raise assembly.wrong(
            key, f"{file.path} has no contents", hint="one of contents, source, metadata, symlink, directory"
        )
    if len(given) > 1:
        raise assembly.wrong(f"{key}.{given[1]}", f"{file.path} cannot have {given[0]} and {given[1]}")
    if file.optional and given != ["source"]:
        raise assembly.wrong(f"{key}.optional", "only a source can be missing")
    return given[0] if given[0] in ("directory", "symlink") else "file"


def _check_check(assembly: Assembly, key: str, check: Check) -> None:
    asked = [check.console, check.command, check.http, check.tcp, check.powers_off or None]
    if sum(each is not None for each in asked) != 1:
        raise assembly.wrong(key, "a check is one of command, console, http, tcp, powers_off")
    if check.within <= 0:
        raise assembly.wrong(f"{key}.within", "has to be a number of seconds")
    for name, server in (("http", check.http), ("tcp", check.tcp)):
        if server is not None and not 0 < server.port < 65536:
            raise assembly.wrong(f"{key}.{name}.port", f"{server.port} is no port")
    if check.command is not None:
        if not check.command.run:
            raise assembly.wrong(f"{key}.command.run", "there is no command")
        services = [service.name for service in assembly.machine.services]
        if check.command.service and check.command.service not in services:
            raise assembly.wrong(f"{key}.command.service", f"there is no service {check.command.service!r}")
    if check.console is not None:
        try:
            re.compile(check.console)
        except re.error as error:
            raise assembly.wrong(f"{key}.console", f"no regular expression: {error}") from error


def numbered(assembly: Assembly) -> dict[str, int]:
    """The user and group that each container may be given by its name: 100 and on, in the file's order."""
    machine = assembly.machine
    everyone = chain(machine.onboot, machine.onshutdown, machine.services)
    return {container.name: 100 + index for index, container in enumerate(everyone)}


def identity(value: int | str | None, names: dict[str, int], key: str = "") -> int:
    """A user or group from its number or the name of a container, at a key. Raises InvalidParameter."""
    if value is None or value in ("", "root"):
        return 0
    if isinstance(value, str):
        if value.isdigit():
            value = int(value)
        elif value in names:
            return names[value]
        else:
            raise InvalidParameter(f"cannot find id: {value}", key=key)
    if not 0 <= value < 2**32 - 1:
        raise InvalidParameter(f"{value} is no user or group", key=key)
    return value
