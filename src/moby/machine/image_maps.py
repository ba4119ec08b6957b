"""This file is about other images than an assembly names: a map of names, so that it stays as it is.

A map is a YAML file: `linuxkit/sshd: moby/sshd`, or `{image: moby/dhcp, command: [...]}`. A name without a
tag or digest stands for every version of that image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import yaml

from moby.core.errors import InvalidParameter, NotFound
from moby.core.reference import parse_reference
from moby.machine.cache import Image, full_name

FOLDER = Path(__file__).parent / "maps"


class Other(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The image that is taken; what its containers do and have in their environment, if nobody says."""

    image: str
    command: list[str] | None = None
    env: list[str] = []


ImageMap = Mapping[str, Other]


def shipped() -> list[str]:
    """The names of the maps that ship."""
    return sorted(path.stem for path in FOLDER.glob("*.yml"))


def read_map(name: str) -> ImageMap:
    """A map that ships by its name, or one in a file. Raises NotFound, InvalidParameter."""
    path = FOLDER / f"{name}.yml" if name in shipped() else Path(name)
    try:
        said = yaml.safe_load(path.read_text())
        found = msgspec.convert(said, dict[str, str | Other])
    except OSError as error:
        raise NotFound(f"there is no map {name}", hint=f"a file, or one of {', '.join(shipped())}") from error
    except (msgspec.ValidationError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"{path}: {' '.join(str(error).split())}") from error
    whole = {}
    for key, value in found.items():
        other = Other(value) if isinstance(value, str) else value
        try:
            parse_reference(other.image)
            whole[_plain(key)] = other
        except InvalidParameter as error:
            raise InvalidParameter(f"{path}: {key}: {error.message}") from error
    return whole


def _plain(name: str) -> str:
    """A name as it is looked up: whole, but without a tag that nobody gave."""
    reference = parse_reference(name)
    whole = full_name(reference)
    return whole if reference.tag or reference.digest else whole.removesuffix(":latest")


def other_image(found: ImageMap, name: str) -> Other | None:
    """What is taken for an image, if the map says anything about it: of this version, or of all."""
    if not found:
        return None
    reference = parse_reference(name)
    return found.get(full_name(reference)) or found.get(f"{reference.domain}/{reference.path}")


def as_mapped(image: Image, other: Other) -> Image:
    """The image with what the map says of it."""
    config = image.config.config
    if other.command is not None:
        config = msgspec.structs.replace(config, entrypoint=[], cmd=other.command)
    if other.env:
        config = msgspec.structs.replace(config, env=[*config.env, *other.env])
    return replace(image, config=msgspec.structs.replace(image.config, config=config))
