"""Numba kernels: arrays and scalars in, arrays out, one block of portfolios at a time.

A block is in CSR form: the positions of portfolio p are `offsets[p]:offsets[p + 1]` of the flat
arrays `instrument` and `value`. P portfolios, N positions, n instruments, T observations.

Kernels check nothing and raise nothing: the engine passes arrays of the right shape and type.
Every sum has one fixed order, so that a portfolio has the same bits in every block.
"""
