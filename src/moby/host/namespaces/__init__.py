"""Network namespaces that live at a path, and the user namespaces they belong to."""

from moby.host.namespaces.network import inside, is_namespace, make, place, prepare, remove
from moby.host.namespaces.users import make_owned

__all__ = ["inside", "is_namespace", "make", "make_owned", "place", "prepare", "remove"]
