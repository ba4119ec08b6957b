"""Networking: sandboxes, the networks they join, and the drivers that make those."""
