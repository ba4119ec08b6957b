"""The name server that containers on networks of a user's own have at 127.0.0.11."""
