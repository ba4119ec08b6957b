"""The OCI runtime spec of a container, one concern a module."""

from moby.runtime.spec.capabilities import normalize_capabilities
from moby.runtime.spec.defaults import DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS
from moby.runtime.spec.document import SpecInput, build_spec

__all__ = [
    "DEFAULT_MASKED_PATHS",
    "DEFAULT_READONLY_PATHS",
    "SpecInput",
    "build_spec",
    "normalize_capabilities",
]
