"""Model to bytes and back: Arrow blocks for the hot path, JSON documents for everything else.

Nothing here evaluates what it reads: no pickle, versions and shapes are checked first.
"""
