"""The reference assemblies, one YAML file each."""
