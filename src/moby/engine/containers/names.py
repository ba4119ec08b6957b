"""This file is about container names: which are allowed, and one of our own when none was given."""

from __future__ import annotations

import random
import re

from moby.core.errors import InvalidParameter

ALLOWED = "[a-zA-Z0-9][a-zA-Z0-9_.-]"
_NAME = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")

_MOODS = [
    "able", "bold", "brave", "bright", "brisk", "calm", "candid", "clever", "cosmic", "crisp",
    "curious", "daring", "eager", "earnest", "easy", "epic", "fair", "fearless", "festive", "fond",
    "frank", "fresh", "gentle", "gifted", "glad", "golden", "graceful", "happy", "hardy", "honest",
    "hopeful", "humble", "keen", "kind", "lively", "loyal", "lucid", "lucky", "mellow", "merry",
    "modest", "nimble", "noble", "patient", "polite", "proud", "quick", "quiet", "ready", "serene",
    "sharp", "silent", "smart", "snug", "solid", "spry", "stoic", "sunny", "sweet", "swift", "tender",
    "tidy", "upbeat", "vivid", "warm", "wise", "witty", "zealous",
]  # fmt: skip
_PEOPLE = [
    "archimedes", "babbage", "bartik", "bell", "bohr", "borg", "brahmagupta", "cerf", "chandrasekhar",
    "clarke", "cori", "curie", "darwin", "davinci", "dijkstra", "einstein", "elion", "engelbart",
    "euclid", "euler", "faraday", "fermat", "fermi", "feynman", "franklin", "galileo", "gauss",
    "germain", "goodall", "hamilton", "hawking", "hopper", "hypatia", "jang", "johnson", "kepler",
    "keller", "kilby", "knuth", "kowalevski", "lamarr", "lamport", "leakey", "leavitt", "liskov",
    "lovelace", "mahavira", "mccarthy", "mcclintock", "meitner", "mendel", "mirzakhani", "moore",
    "morse", "neumann", "newton", "nightingale", "nobel", "noether", "pascal", "pasteur", "payne",
    "perlman", "pike", "poincare", "ramanujan", "ride", "ritchie", "rubin", "saha", "shannon",
    "shockley", "sinoussi", "snyder", "stallman", "swartz", "tesla", "thompson", "torvalds", "turing",
    "volhard", "wilson", "wing", "wozniak", "wright", "yalow", "yonath",
]  # fmt: skip


def check_name(name: str) -> str:
    """`name` without its leading slash. Raises InvalidParameter."""
    if not _NAME.fullmatch(name):
        raise InvalidParameter(f"Invalid container name ({name}), only {ALLOWED} are allowed")
    return name.removeprefix("/")


def is_restricted(name: str) -> bool:
    """May a thing beside containers have this name, in which a slash would be one?"""
    return not name.startswith("/") and _NAME.fullmatch(name) is not None


def random_name(attempt: int = 0) -> str:
    """A readable name; from the second attempt on with a digit, to get out of the way of others."""
    name = f"{random.choice(_MOODS)}_{random.choice(_PEOPLE)}"  # noqa: S311 - a name, not a secret
    return f"{name}{random.randrange(10)}" if attempt else name  # noqa: S311
