"""The commands of `moby`, one module each: `add` declares it, `do` does it."""
