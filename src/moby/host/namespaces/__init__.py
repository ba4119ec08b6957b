"""Network namespaces that live at a path."""

from moby.host.namespaces.network import inside, is_namespace, make, place, prepare, remove

__all__ = ["inside", "is_namespace", "make", "place", "prepare", "remove"]
