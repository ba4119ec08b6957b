from __future__ import annotations

from moby.engine.machine_facts import machine_facts


def test_facts_are_plausible() -> None:
    facts = machine_facts()
    assert facts.cpus >= 1
    assert facts.memory > 64 << 20
    assert facts.kernel
    assert facts.architecture
    assert facts.name
    assert facts.operating_system
