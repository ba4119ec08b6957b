"""The Engine API over HTTP; it knows `moby.core` only and is handed the services it serves."""
