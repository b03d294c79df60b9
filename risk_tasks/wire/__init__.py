"""Model to bytes and back: msgpack and Arrow blocks for checks, JSON documents for the rest.

Decoding never evaluates code: there is no pickle, and versions and shapes are checked first.
"""
