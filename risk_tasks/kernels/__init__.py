"""Numba kernels: arrays and scalars in, arrays out, one block of portfolios at a time.

A block is in CSR form: the positions of portfolio p are `offsets[p]:offsets[p + 1]` of the flat
arrays `instrument` and `value`. P portfolios, N positions, n instruments, T observations.

Kernels check nothing and raise nothing: the engine hands them arrays of the right shape and type.
Every sum runs in one fixed order, so a portfolio has the same bits in any block.
"""
