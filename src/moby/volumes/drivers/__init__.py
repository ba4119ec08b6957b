"""Volume drivers, one a module."""
