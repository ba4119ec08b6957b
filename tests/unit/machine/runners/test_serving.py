"""A machine that runs here and now, and what serves it."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import NotFound
from moby.machine.runners.serving import serve


async def test_servers_run_while_the_machine_does(tmp_path: Path) -> None:
    server = ["sh", "-c", f"echo $$ > {tmp_path}/pid; mv {tmp_path}/pid {tmp_path}/ready; exec sleep 60"]
    machine = ["sh", "-c", f"while [ ! -e {tmp_path}/ready ]; do sleep 0.01; done; exit 3"]
    assert await serve(machine, [server], tmp_path) == 3
    pid = int((tmp_path / "ready").read_text())
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(NotFound):
        await serve(["/gone"], [], tmp_path)
