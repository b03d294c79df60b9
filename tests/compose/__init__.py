"""The stack of docker-compose.yml, driven with a real engine: `make test-compose`."""
