"""Run every benchmark, or the one that is named."""

from benchmarks import measures

if __name__ == "__main__":
    measures.run()
