"""What machines run on: one module each."""
