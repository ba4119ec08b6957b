"""This file is about docs/reference/moby.md: written from the commands themselves, it cannot lie.

`python -m moby.cli.moby_reference > docs/reference/moby.md`; a test compares the two.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from moby.cli.moby import parser

_HEAD = """\
# moby

The tool for assemblies. It ends with status 0, with 1 after one line that says what failed, and with 2 if it
was called wrongly. Every command but `container` and `volume` works for an ordinary user.

This page is written by `python -m moby.cli.moby_reference`.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_commands(parser(), "moby")])


def _commands(command: argparse.ArgumentParser, name: str, level: int = 2) -> Iterator[str]:
    for action in command._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        about = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for verb, below in action.choices.items():
            whole = f"{name} {verb}"
            words = about.get(verb, "")
            yield f"{'#' * level} {whole}\n\n{words[:1].upper()}{words[1:]}.\n"
            if rows := list(_rows(below)):
                yield "\n".join(rows) + "\n"
            yield from _commands(below, whole, level + 1)


def _rows(command: argparse.ArgumentParser) -> Iterator[str]:
    for action in command._actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        if action.option_strings:
            value = "" if action.nargs == 0 else f" {_value(action)}"
            name = ", ".join(f"`{option}{value}`" for option in action.option_strings)
        else:
            name = f"`{_value(action)}`"
        yield f"- {name}" + (f": {action.help}" if action.help else "")


def _value(action: argparse.Action) -> str:
    if action.choices:
        return "|".join(str(choice) for choice in action.choices)
    shown = action.metavar or action.dest.upper()
    return shown if isinstance(shown, str) else " ".join(shown)


if __name__ == "__main__":
    print(page(), end="")
