"""Scales the workers to the waiting work: signals, a decision, and a driver that acts on it."""
