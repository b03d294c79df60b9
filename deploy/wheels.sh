#!/bin/sh
# Download the packages of the images into build/wheels, and check their hashes: wheels.sh [PYTHON]. PYTHON
# must have the version of the images. An image is built from these wheels, without a registry, if there are any.
set -eu
cd "$(dirname "$0")/.."
python=${1:-python3}
mkdir -p build/wheels
for lock in deploy/locks/*.lock; do
  "$python" -m pip download -qq --disable-pip-version-check --no-deps --require-hashes \
    --dest build/wheels --requirement "$lock"
done
