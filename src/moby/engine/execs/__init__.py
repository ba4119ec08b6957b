"""Commands run in running containers: `docker exec`."""
