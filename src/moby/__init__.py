"""Moby: a library of container components, a framework that assembles them, and a container engine.

`core` says what things are; `host` holds the doors to the machine; `images`, `runtime`, `networks`,
`volumes`, `logs` and `plugins` are components, each usable alone; `monitor` keeps a container's stdio;
`framework` turns an assembly into running objects; `engine` is a container engine made of all that;
`api` serves it over HTTP; `testing` ships a conformance suite for every role; `cli` wires and starts.
"""

__version__ = "0.1.0"
