"""The Engine API's own objects: as they come over the wire, as they are stored, as they are passed on."""
