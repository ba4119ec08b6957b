"""This file is about labels of our own that ask the engine for something.

They count where whoever makes a container gives them; what an image says of itself asks for nothing.
"""

from __future__ import annotations

# `on-unhealthy` or `on-unhealthy:COUNT`, see unhealthy.py.
RESTART_LABEL = "org.mobyproject.restart"
# Names of containers with commas between them, each with `:healthy` if it has to be that first; see boot.py.
AFTER_LABEL = "org.mobyproject.start-after"

ORDERS = frozenset({RESTART_LABEL, AFTER_LABEL})
