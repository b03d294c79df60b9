"""The kernels of an image, laid where they can be read."""

from __future__ import annotations

from workers.kernels import unpack


def test_baked_kernels_are_copied_to_where_numba_looks(tmp_path):
    """Again at a restart, over what is there."""
    baked, into = tmp_path / "baked", tmp_path / "run" / "kernels"
    (baked / "kernels_1").mkdir(parents=True)
    (baked / "kernels_1" / "tail.nbi").write_bytes(b"new")

    for _ in range(2):
        unpack(str(into), baked)
        assert (into / "kernels_1" / "tail.nbi").read_bytes() == b"new"
        (into / "kernels_1" / "tail.nbi").write_bytes(b"old")


def test_outside_of_an_image_nothing_is_done(tmp_path):
    """No baked kernels, or no folder named."""
    unpack(str(tmp_path / "into"), tmp_path / "none")
    unpack(None, tmp_path)
    unpack(str(tmp_path), tmp_path)

    assert list(tmp_path.iterdir()) == []
