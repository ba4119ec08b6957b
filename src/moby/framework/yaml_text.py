"""This file is about the text of an assembly: its values, and the line where each key stands."""

from __future__ import annotations

from typing import Any

import yaml

from moby.core.errors import InvalidParameter

# Anchors and merges of YAML make a few lines stand for any number of keys.
_KEYS_LIMIT = 100_000
_DEPTH_LIMIT = 64


def loaded(text: str, name: str) -> tuple[dict[str, Any], dict[str, int]]:
    """The document, and the line of every key by its path.

    Raises InvalidParameter: `FILE:LINE: what is wrong`.
    """
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        lines = _lines(name, root)
        plain = None if root is None else loader.construct_document(root)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        words = " ".join(str(getattr(error, "problem", None) or error).split())
        raise InvalidParameter(f"{name}{line}: {words}") from error
    if plain is not None and not isinstance(plain, dict):
        raise InvalidParameter(f"{name}:1: document: Expected `object`, got `{type(plain).__name__}`")
    return plain or {}, lines


def _lines(name: str, root: Any) -> dict[str, int]:
    """The line of every key, by its path. Raises InvalidParameter for a key that is there twice."""
    found: dict[str, int] = {}
    waiting: list[tuple[str, Any, int]] = [] if root is None else [("", root, 0)]
    while waiting:
        path, node, depth = waiting.pop()
        found.setdefault(path, node.start_mark.line + 1)
        if depth > _DEPTH_LIMIT:
            # Also what contains itself: each path is longer than the one before.
            raise InvalidParameter(f"{name}:{node.start_mark.line + 1}: more than {_DEPTH_LIMIT} levels")
        if len(found) > _KEYS_LIMIT:
            raise InvalidParameter(f"{name}: more than {_KEYS_LIMIT} keys")
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                below = f"{path}.{key.value}" if path else str(key.value)
                line = key.start_mark.line + 1
                if str(key.value) in seen and key.tag != "tag:yaml.org,2002:merge":
                    raise InvalidParameter(f"{name}:{line}: {below}: this key is there twice")
                seen.add(str(key.value))
                found[below] = line
                waiting.append((below, value, depth + 1))
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(f"{path}[{index}]", value, depth + 1) for index, value in enumerate(node.value)]
    return found
