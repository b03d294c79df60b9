"""How a system does, in numbers: counted in the workers, merged through the server, exposed."""
