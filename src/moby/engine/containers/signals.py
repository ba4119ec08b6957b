"""This file is about signals by name and number, as `docker kill --signal` and STOPSIGNAL take them."""

from __future__ import annotations

import signal

from moby.core.errors import InvalidParameter


def parse_signal(text: str) -> int:
    """`9`, `KILL`, `sigkill` or `RTMIN+3` as a number. Raises InvalidParameter."""
    if text.isdigit() and 0 < int(text) <= 64:
        return int(text)
    name = text.upper().removeprefix("SIG")
    base, sign, offset = name.partition("+") if "+" in name else name.partition("-")
    if base in ("RTMIN", "RTMAX") and (not sign or offset.isdigit()):
        delta = int(offset or 0) * (-1 if sign == "-" else 1)
        number = int(getattr(signal, f"SIG{base}")) + delta
        if signal.SIGRTMIN <= number <= signal.SIGRTMAX:
            return number
    elif (found := signal.Signals.__members__.get(f"SIG{name}")) is not None:
        return int(found)
    raise InvalidParameter(f"invalid signal: {text}")


def sent_signal(text: str) -> int:
    """As `parse_signal`, in the words that dockerd has for a number that is no signal's."""
    number = text.removeprefix("-")
    if number.isdigit() and int(number) and not (text == number and int(number) <= signal.SIGRTMAX):
        raise InvalidParameter(f"the linux daemon does not support signal {text}")
    return parse_signal(text)
