#!/bin/sh
# Download what the images install into build/wheels, by their hashes: wheels.sh [PYTHON], where PYTHON
# has the version of the images. The build of an image that finds wheels there uses no registry.
set -eu
cd "$(dirname "$0")/.."
python=${1:-python3}
mkdir -p build/wheels
for lock in deploy/locks/*.lock; do
  "$python" -m pip download -qq --disable-pip-version-check --no-deps --require-hashes \
    --dest build/wheels --requirement "$lock"
done
