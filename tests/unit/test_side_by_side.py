from __future__ import annotations

import pytest

from tests.side_by_side import side_by_side


@pytest.mark.parametrize(
    ("one", "other", "status"), [("true", "true", 0), ("exit 2", "true", 1), ("true", "exit 1", 1)]
)
def test_either_fails_both(capfd: pytest.CaptureFixture[str], one: str, other: str, status: int) -> None:
    runs = {"one": ["sh", "-c", f"echo of one; {one}"], "other": ["sh", "-c", f"echo of it >&2; {other}"]}
    assert side_by_side(runs) == status
    said = capfd.readouterr().out.splitlines()
    assert said.index("of one") < said.index("other:") < said.index("of it")
    assert ("one: passed" in said, "other: passed" in said) == (one == "true", other == "true")
