"""This file is about the numbers of ports as Go reads them (api/types/network, ParsePort)."""

from __future__ import annotations

_LAST = 65535
_DIGITS = 5


def port_number(text: str) -> int:
    """From 0 to 65535. Raises ValueError in dockerd's words."""
    if not text:
        raise ValueError("value is empty")
    if not (text.isascii() and text.isdigit()):
        raise ValueError("invalid syntax")
    # Python refuses to read thousands of digits.
    digits = text.lstrip("0")
    number = int(digits or "0") if len(digits) <= _DIGITS else _LAST + 1
    if number > _LAST:
        raise ValueError("value out of range")
    return number
