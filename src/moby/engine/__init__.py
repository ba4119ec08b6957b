"""A container engine, made of the components; small services, none of which knows them all."""
