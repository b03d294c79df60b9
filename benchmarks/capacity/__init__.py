"""How far the system scales: what a block costs, a simulation of it, and real fleets beside it."""
