"""What the tests of machines share: the minimal machine in every form, built once; and that none runs on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from moby.cli.moby import run
from tests.integration.machine.machines import FORMS, MINIMAL, Built, sums
from tests.leftovers import processes


@pytest.fixture(scope="session")
def minimal(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The minimal machine in every form."""
    folder = tmp_path_factory.mktemp("minimal")
    asked = [word for form in FORMS for word in ("-f", form)]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SOURCE_DATE_EPOCH", raising=False)
        assert run(["build", str(MINIMAL), "-q", "-o", str(folder), *asked]) == 0
    return Built(folder, sums(folder))


@pytest.fixture(scope="session", autouse=True)
def no_machine_runs_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fails the run when a machine is left."""
    yield
    here = str(tmp_path_factory.getbasetemp())
    assert not [line for line in processes(here) if "qemu-system-" in line]
