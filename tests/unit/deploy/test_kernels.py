"""The kernels of an image, copied to a writable folder."""

from __future__ import annotations

from workers.kernels import unpack


def test_kernels_of_the_image_are_copied_to_the_cache_folder(tmp_path):
    """A restart copies them again, over existing files."""
    baked, into = tmp_path / "baked", tmp_path / "run" / "kernels"
    (baked / "kernels_1").mkdir(parents=True)
    (baked / "kernels_1" / "tail.nbi").write_bytes(b"new")

    for _ in range(2):
        unpack(str(into), baked)
        assert (into / "kernels_1" / "tail.nbi").read_bytes() == b"new"
        (into / "kernels_1" / "tail.nbi").write_bytes(b"old")


def test_without_kernels_in_the_image_nothing_is_copied(tmp_path):
    """Also where no cache folder is set."""
    unpack(str(tmp_path / "into"), tmp_path / "none")
    unpack(None, tmp_path)
    unpack(str(tmp_path), tmp_path)

    assert list(tmp_path.iterdir()) == []
