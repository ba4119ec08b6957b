"""Clouds and hypervisors: a machine's disk becomes an image there, and an image a machine that runs."""
