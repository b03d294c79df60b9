#!/bin/sh
# Runs while an image is built: install a lock, or this package, into /opt/risk-tasks, and link the
# files that this added into /added, so that images share the layers that they have in common.
#   install.sh LOCK              with hashes; from /build/*.whl where there are wheels
#   install.sh --package SOURCE  without dependencies; the packages that build it are locked too
set -eu
listed() { find /opt/risk-tasks \( -type f -o -type l \) | LC_ALL=C sort; }
listed > /tmp/before
from=
if ls /build/*.whl >/dev/null 2>&1; then from="--no-index --find-links /build"; fi

pip() { # pip PYTHON ARGUMENT...
  python=$1
  shift
  python3 -m pip --python "$python" --quiet --disable-pip-version-check --no-cache-dir \
    --no-input "$@"
}

if [ "$1" = --package ]; then
  python3 -m venv --without-pip /tmp/builder
  pip /tmp/builder/bin/python install $from --require-hashes -r /build/build.lock
  pip /tmp/builder/bin/python wheel --no-deps --no-build-isolation --wheel-dir /tmp/dist "$2"
  pip /opt/risk-tasks/bin/python install --no-deps --no-index /tmp/dist/*.whl
else
  pip /opt/risk-tasks/bin/python install $from --require-hashes -r "/build/$1"
fi
# The tests that libraries install are a tenth of their size.
find /opt/risk-tasks/lib -type d -name tests -prune -exec rm -rf {} +

rm -rf /added  # of the stage below
mkdir /added
cd /opt/risk-tasks
listed | LC_ALL=C comm -13 /tmp/before - | sed 's|^/opt/risk-tasks/||' | tr '\n' '\0' \
  | xargs -0 cp --link --no-dereference --parents --target-directory /added
