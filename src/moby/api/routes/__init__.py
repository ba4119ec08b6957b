"""The operations, one module a group: the Backend that it needs, its table of routes, its handlers."""
