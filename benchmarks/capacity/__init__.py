"""How far the system scales: the cost of a block, a simulation, and real fleets as its test."""
