"""Registries: the OCI distribution protocol from the client's side."""
