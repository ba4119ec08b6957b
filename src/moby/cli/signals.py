"""This file is about the signals that mobyd understands."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable

log = logging.getLogger(__name__)


def install(stop: asyncio.Event, reload: Callable[[], None]) -> None:
    """SIGTERM and SIGINT stop (a third one at once), SIGHUP reloads, SIGUSR1 logs every task."""
    loop = asyncio.get_running_loop()
    asked = 0

    def end(name: str) -> None:
        nonlocal asked
        asked += 1
        log.info("signal received", extra={"signal": name, "count": asked})
        if asked >= 3:
            os._exit(1)
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, end, "SIGTERM")
    loop.add_signal_handler(signal.SIGINT, end, "SIGINT")
    loop.add_signal_handler(signal.SIGHUP, reload)
    loop.add_signal_handler(signal.SIGUSR1, _log_tasks)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def _log_tasks() -> None:
    for task in asyncio.all_tasks():
        frames = task.get_stack(limit=1)
        where = f"{frames[-1].f_code.co_filename}:{frames[-1].f_lineno}" if frames else ""
        log.info("task", extra={"task": task.get_name(), "coroutine": str(task.get_coro()), "where": where})
