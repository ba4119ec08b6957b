"""The framework: from an assembly (a YAML file that names components) to running objects."""
