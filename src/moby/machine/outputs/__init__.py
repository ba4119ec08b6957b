"""Forms in which a machine is written out: one module a form, listed in `moby.machine.formats`."""
