"""Images: registries, pull and push, archives, stores. Usable without a daemon."""
