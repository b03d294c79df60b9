"""What the rows of a block hold, as a hash of each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from risk_tasks.kernels.jit import kernel, part

Int1D = npt.NDArray[np.int64]
Word1D = npt.NDArray[np.uint64]
Word2D = npt.NDArray[np.uint64]

#: words of 64 bits that the hash takes in at a time
_BLOCK = 16
_START = np.array(
    [
        0x6A09E667F3BCC908,
        0xBB67AE8584CAA73B,
        0x3C6EF372FE94F82B,
        0xA54FF53A5F1D36F1,
        0x510E527FADE682D1,
        0x9B05688C2B3E6C1F,
        0x1F83D9ABFB41BD6B,
        0x5BE0CD19137E2179,
    ],
    dtype=np.uint64,
)
#: the order in which a round reads the words, by rounds
_ORDER = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
    ],
    dtype=np.int64,
)
_N_ROUNDS = 12


@part
def _turn(word: np.uint64, n_bits: int) -> np.uint64:
    return (word >> np.uint64(n_bits)) | (word << np.uint64(64 - n_bits))


@part
def _mix(v: Word1D, a: int, b: int, c: int, d: int, first: np.uint64, second: np.uint64) -> None:
    v[a] += v[b] + first
    v[d] = _turn(v[d] ^ v[a], 32)
    v[c] += v[d]
    v[b] = _turn(v[b] ^ v[c], 24)
    v[a] += v[b] + second
    v[d] = _turn(v[d] ^ v[a], 16)
    v[c] += v[d]
    v[b] = _turn(v[b] ^ v[c], 63)


@part
def _take_in(state: Word1D, words: Word1D, n_bytes: np.uint64, is_last: bool, v: Word1D) -> None:
    """One block of words into `state`; `n_bytes` counts what was taken in, this block included."""
    v[:8] = state
    v[8:] = _START
    v[12] ^= n_bytes
    if is_last:
        v[14] = ~v[14]
    for turn in range(_N_ROUNDS):
        at = _ORDER[turn % 10]
        _mix(v, 0, 4, 8, 12, words[at[0]], words[at[1]])
        _mix(v, 1, 5, 9, 13, words[at[2]], words[at[3]])
        _mix(v, 2, 6, 10, 14, words[at[4]], words[at[5]])
        _mix(v, 3, 7, 11, 15, words[at[6]], words[at[7]])
        _mix(v, 0, 5, 10, 15, words[at[8]], words[at[9]])
        _mix(v, 1, 6, 11, 12, words[at[10]], words[at[11]])
        _mix(v, 2, 7, 8, 13, words[at[12]], words[at[13]])
        _mix(v, 3, 4, 9, 14, words[at[14]], words[at[15]])
    for place in range(8):
        state[place] ^= v[place] ^ v[place + 8]


@kernel
def row_digests(offsets: Int1D, head: Word1D, words: Word2D, out: Word2D) -> None:
    """BLAKE2b of each row: `head`, then the words of its positions, little-endian.

    Parameters
    ----------
    offsets : (P + 1,)
    head : (H,) uint64, H > 0
        What all rows share.
    words : (N, W) uint64
    out : (P, 2) uint64
        Receives digests of 16 bytes.

    Notes
    -----
    RFC 7693, without a key. A hash object of Python for each row costs more than many measures.
    """
    width = words.shape[1]
    state, block, v = (
        np.empty(8, dtype=np.uint64),
        np.empty(_BLOCK, dtype=np.uint64),
        np.empty(_BLOCK, dtype=np.uint64),
    )
    for p in range(offsets.size - 1):
        state[:] = _START
        state[0] ^= np.uint64(0x01010000 | 16)
        n_held, n_taken = 0, 0
        for place in range(head.size + (offsets[p + 1] - offsets[p]) * width):
            if n_held == _BLOCK:
                n_taken += _BLOCK
                _take_in(state, block, np.uint64(8 * n_taken), False, v)
                n_held = 0
            if place < head.size:
                block[n_held] = head[place]
            else:
                j = place - head.size
                block[n_held] = words[offsets[p] + j // width, j % width]
            n_held += 1
        block[n_held:] = 0
        _take_in(state, block, np.uint64(8 * (n_taken + n_held)), True, v)
        out[p, 0], out[p, 1] = state[0], state[1]
