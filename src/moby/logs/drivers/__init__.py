"""Log drivers, one a module; a module imports little, since it is loaded into every container's monitor."""
