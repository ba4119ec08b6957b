"""containerd: its gRPC API, and a containerd of our own to talk to."""
