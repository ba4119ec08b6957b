"""Running containers: the runtimes, and the OCI runtime spec they take."""
