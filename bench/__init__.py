"""Measurements of mobyd side by side with dockerd, each a file of its own."""
