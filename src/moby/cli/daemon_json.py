"""This file is about daemon.json, and how it, the flags and the defaults make one configuration."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from moby.cli.flags import SIZES
from moby.core.errors import InvalidParameter
from moby.engine.config import EngineConfig, check, encoded_name, keys
from moby.engine.config_values import check_values
from moby.engine.images.settings import masked
from moby.logs.options import parse_size

DEFAULT_PATH = Path("/etc/docker/daemon.json")
_MERGED = "runtimes"
# Keys that had one value before they had several.
_NOW = {"host-gateway-ip": "host-gateway-ips"}
_PROXIES = frozenset({"http_proxy", "https_proxy", "no_proxy"})


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
    text = text.removeprefix(BOM_UTF8)
    if not text.strip():
        return {}
    try:
        found = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise InvalidParameter(f"unable to configure the Docker daemon with file {file}: {error}") from error
    return _attributes(file, found)


def _attributes(file: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    found = {_NOW.get(key, key): [value] if key in _NOW else value for key, value in found.items()}
    known = {encoded_name(attribute): attribute for attribute in keys()}
    unknown = [key for key in found if key not in known]
    if unknown:
        import difflib  # only for those who err

        near = difflib.get_close_matches(unknown[0], known, 1)
        raise InvalidParameter(
            f"unable to configure the Docker daemon with file {file}: the following directives don't match "
            f"any configuration option: {', '.join(unknown)}",
            hint=f"did you mean {near[0]}?" if near else None,
        )
    values = {known[key]: value for key, value in found.items()}
    for name in SIZES & values.keys():
        if isinstance(values[name], str):
            try:
                values[name] = parse_size(values[name])
            except InvalidParameter as error:
                raise InvalidParameter(
                    f"unable to configure the Docker daemon with file {file}: {error.message}"
                ) from error
    return values


def merge(file: Mapping[str, Any], flags: Mapping[str, Any]) -> EngineConfig:
    """One configuration. Raises InvalidParameter for what is set twice or wrong."""
    _refuse_twice(file, flags)
    values = {encoded_name(name): value for name, value in {**file, **flags}.items()}
    if _MERGED in file and _MERGED in flags and isinstance(file[_MERGED], dict):
        values[_MERGED] = file[_MERGED] | flags[_MERGED]
    try:
        config = msgspec.convert(values, EngineConfig)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"invalid configuration: {error}") from error
    check(config)
    check_values(config)
    return config


def _refuse_twice(file: Mapping[str, Any], flags: Mapping[str, Any]) -> None:
    proxies = file.get("proxies")
    inner = (
        {key.replace("-", "_"): value for key, value in proxies.items()} if isinstance(proxies, dict) else {}
    )
    below = {name: value for name, value in inner.items() if name in _PROXIES}
    given = {**file, **below}
    twice = [name for name in flags if name in given and name != _MERGED]
    if twice:
        listed = ", ".join(
            f"{encoded_name(name)}: (from flag: {_shown(name, flags[name])}, "
            f"from file: {_shown(name, given[name])})"
            for name in twice
        )
        raise InvalidParameter(
            "the following directives are specified both as a flag and in the configuration file: " + listed
        )


def _shown(name: str, value: Any) -> str:
    """As dockerd writes a value."""
    if name in _PROXIES:
        return masked(str(value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{' '.join(_shown('', one) for one in value)}]"
    if isinstance(value, dict):
        entries = (f"{key}:{_shown('', value[key])}" for key in sorted(value))
        return f"map[{' '.join(entries)}]"
    return str(value)
