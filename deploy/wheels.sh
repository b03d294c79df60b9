#!/bin/sh
# Fetch what the images install into build/wheels, by their hashes, with the pip of a Python of the
# images' version: wheels.sh [PYTHON]. An image that finds wheels there asks nobody else for them.
set -eu
cd "$(dirname "$0")/.."
python=${1:-python3}
mkdir -p build/wheels
for lock in deploy/locks/*.lock; do
  "$python" -m pip download -qq --disable-pip-version-check --no-deps --require-hashes \
    --dest build/wheels --requirement "$lock"
done
