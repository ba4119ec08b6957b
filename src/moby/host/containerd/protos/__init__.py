"""The wire messages of containerd, generated from the .proto files beside this one when the project is built."""
