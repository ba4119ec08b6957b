"""Volumes: the service that keeps track of them, and their drivers."""
