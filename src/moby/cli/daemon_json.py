"""This file is about daemon.json, and how it, the flags and the defaults make one configuration."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from moby.core.errors import InvalidParameter
from moby.engine.config import EngineConfig, check, encoded_name, keys

DEFAULT_PATH = Path("/etc/docker/daemon.json")
_MERGED = frozenset({"insecure_registries", "registry_mirrors", "labels", "exec_opts"})


def load(path: str) -> dict[str, Any]:
    """The file's keys by attribute. Raises InvalidParameter; without a path a missing file is empty."""
    file = Path(path) if path else DEFAULT_PATH
    try:
        text = file.read_bytes()
    except FileNotFoundError as error:
        if path:
            raise InvalidParameter(
                f"unable to configure the Docker daemon with file {path}: "
                f"open {path}: no such file or directory"
            ) from error
        return {}
    except OSError as error:
        raise InvalidParameter(
            f"unable to configure the Docker daemon with file {file}: {error.strerror}"
        ) from error
    if not text.strip():
        return {}
    try:
        found = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise InvalidParameter(f"unable to configure the Docker daemon with file {file}: {error}") from error
    return _attributes(file, found)


def _attributes(file: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    known = {encoded_name(attribute): attribute for attribute in keys()}
    unknown = [key for key in found if key not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, 1)
        raise InvalidParameter(
            f"unable to configure the Docker daemon with file {file}: the following directives don't match "
            f"any configuration option: {', '.join(unknown)}",
            hint=f"did you mean {near[0]}?" if near else None,
        )
    return {known[key]: value for key, value in found.items()}


def merge(file: Mapping[str, Any], flags: Mapping[str, Any]) -> EngineConfig:
    """One configuration. Raises InvalidParameter for what is set twice or wrong."""
    twice = [name for name in flags if name in file and name not in _MERGED]
    if twice:
        listed = ", ".join(
            f"{encoded_name(name)}: (from flag: {flags[name]}, from file: {file[name]})" for name in twice
        )
        raise InvalidParameter(
            "the following directives are specified both as a flag and in the configuration file: " + listed
        )
    values = {encoded_name(name): value for name, value in {**file, **flags}.items()}
    for name in _MERGED & file.keys() & flags.keys():
        values[encoded_name(name)] = [*file[name], *flags[name]]
    try:
        config = msgspec.convert(values, EngineConfig)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"invalid configuration: {error}") from error
    check(config)
    return config
