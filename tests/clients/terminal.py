"""A terminal that a docker command runs on."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from typing import Self

from tests.clients.engine import DOCKER, Engine


class Terminal:
    """A docker command on a pseudo-terminal, as at a keyboard."""

    def __init__(self, engine: Engine, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [DOCKER, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=engine.environment,
            start_new_session=True,
        )
        os.close(slave)
        self.text = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self.master)

    def type(self, text: str) -> None:
        """Presses keys."""
        os.write(self.master, text.encode())

    def read_until(self, wanted: str, timeout: float = 20) -> str:
        """Reads the screen until it shows a text."""
        deadline = time.monotonic() + timeout
        while wanted not in self.text:
            ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no {wanted!r} in {self.text!r}"
            try:
                chunk = os.read(self.master, 65536)
            except OSError:  # the other side is closed
                raise AssertionError(f"ended without {wanted!r}: {self.text!r}") from None
            self.text += chunk.decode(errors="replace")
        return self.text
