"""This file is about docs/reference/mobyd.md: written from the settings themselves, so that it cannot lie.

`python -m moby.cli.reference > docs/reference/mobyd.md`; a test compares the two.
"""

from __future__ import annotations

import msgspec

from moby.cli.flags import OWN_FLAGS
from moby.core.codec import encode
from moby.engine.config import EngineConfig, Key, encoded_name, keys

_HEAD = """\
# mobyd

`mobyd` takes dockerd's flags, and the keys of its configuration file (`/etc/docker/daemon.json`, or
another one named with `--config-file`). What is set in the file must not be set by a flag too. A setting
marked *refused* has no effect yet: setting it to anything but its default is an error. Those marked
*reloaded* take effect on SIGHUP.

This page is written by `python -m moby.cli.reference`.

## Flags of its own
"""


def page() -> str:
    """The whole page."""
    default = EngineConfig()
    parts = [_HEAD]
    parts += [f"### --{name}\n\n{about.capitalize()}.\n" for name, about in OWN_FLAGS.items()]
    parts.append("## Settings\n")
    for attribute, key in keys().items():
        parts.append(_entry(attribute, key, getattr(default, attribute)))
    return "\n".join(parts)


def _entry(attribute: str, key: Key, default: object) -> str:
    name = encoded_name(attribute)
    heading = f"--{key.flag}" if key.flag else name
    words = [f"in the file `{name}`"]
    if key.short:
        words.append(f"short `-{key.short}`")
    words.append(f"default `{encode(msgspec.to_builtins(default)).decode()}`")
    if not key.works:
        words.append("*refused*")
    if key.idle:
        words.append("*accepted, without effect*")
    if key.reloads:
        words.append("*reloaded*")
    return f"### {heading}\n\n{key.about[:1].upper()}{key.about[1:]}; {', '.join(words)}.\n"


if __name__ == "__main__":
    print(page(), end="")
