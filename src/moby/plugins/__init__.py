"""Plugins: processes beside the daemon that are drivers, found by their sockets and spoken to in JSON."""
