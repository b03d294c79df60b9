"""`python -m risk_tasks.kernels [PARENT]`: compile what the cache lacks, at the lowest priority.

It stops when the process PARENT has ended.
"""

import os
import sys

if __name__ == "__main__":
    # Before the import: importing Numba takes seconds, too.
    os.nice(19)
    from risk_tasks.kernels.catalogue import compile_kernels

    n_compiled = compile_kernels(*map(int, sys.argv[1:]))
    sys.stdout.write(f"{n_compiled} compiled\n")
