"""The OCI runtime spec of a container, one concern a module."""

from moby.runtime.spec.capabilities import normalize_capabilities
from moby.runtime.spec.defaults import DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS
from moby.runtime.spec.document import SpecInput, build_process, build_spec
from moby.runtime.spec.mounts import Bind
from moby.runtime.spec.security import (
    BUILTIN,
    UNCONFINED,
    SecurityOptions,
    apparmor_profile,
    parse_security_options,
)
from moby.runtime.spec.users import User, resolve_user

__all__ = [
    "BUILTIN",
    "DEFAULT_MASKED_PATHS",
    "DEFAULT_READONLY_PATHS",
    "UNCONFINED",
    "Bind",
    "SecurityOptions",
    "SpecInput",
    "User",
    "apparmor_profile",
    "build_process",
    "build_spec",
    "normalize_capabilities",
    "parse_security_options",
    "resolve_user",
]
