"""The monitor: a small process for each container that keeps its stdio, log and attached clients.

Monitors are forked by a fork server that imports next to nothing, and outlive the daemon.
"""
