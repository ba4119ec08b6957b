"""This file is about telling what became of checks: for people, and for CI servers (JUnit's XML)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from moby.machine.checking import Result

_WORDS = 15
# What XML has no way to say.
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_text(results: Sequence[Result], console: str) -> str:
    """A line a check; after failures the console's last words."""
    lines = [
        f"FAILED  {result.name}: {result.why}" if result.why else f"ok      {result.name}"
        for result in results
    ]
    if any(result.why for result in results):
        lines += ["", "the console's last words:", *console.splitlines()[-_WORDS:]]
    return "\n".join(lines) + "\n"


def as_junit(results: Sequence[Result], console: str, name: str) -> str:
    """A test suite named after the assembly."""
    failures = sum(bool(result.why) for result in results)
    seconds = max((result.seconds for result in results), default=0.0)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuite name={_quoted(name)} tests="{len(results)}" failures="{failures}" errors="0"'
        f' time="{seconds:.3f}">',
    ]
    for result in results:
        case = f'<testcase classname={_quoted(name)} name={_quoted(result.name)} time="{result.seconds:.3f}"'
        if result.why:
            lines.append(f"  {case}><failure message={_quoted(result.why)}/></testcase>")
        else:
            lines.append(f"  {case}/>")
    lines += [f"  <system-out>{escape(_clean(console))}</system-out>", "</testsuite>"]
    return "\n".join(lines) + "\n"


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _quoted(text: str) -> str:
    return quoteattr(_clean(text))
