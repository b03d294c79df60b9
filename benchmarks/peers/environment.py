"""The environment of the peers, separate from ours: `build/peers-venv`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.environment import Environment

PEERS = Environment("peers", Path(__file__).with_name("requirements.txt"))

if __name__ == "__main__":
    print(PEERS.ensure())
