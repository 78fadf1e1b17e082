"""Server, worker and deployments on this machine: `make up` and `make down`."""
