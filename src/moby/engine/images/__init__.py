"""The engine's images: what is here, what uses it, and how it comes and goes."""
