"""The wire messages of containerd, generated from the .proto files when the project is built."""
