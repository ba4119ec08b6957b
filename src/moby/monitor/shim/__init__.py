"""The monitor as containerd's shim: it runs the container itself, by crun or runc.

containerd calls the task service (runtime v2) over ttrpc, and is told of what happens the same way.
"""
