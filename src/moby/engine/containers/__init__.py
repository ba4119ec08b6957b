"""Containers: what is stored of them, what lives of them, and one file a verb."""
