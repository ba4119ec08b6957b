"""The kinds of networks, one a file."""
