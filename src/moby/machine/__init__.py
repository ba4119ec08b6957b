"""Machines: an assembly's images and files, made into something that boots; no root, no daemon."""
