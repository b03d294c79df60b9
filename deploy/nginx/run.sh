#!/bin/sh
# nginx looks its gateways up when it reads its configuration. One that is started again may have
# another address, so that this looks now and then, and has it read again.
set -u
nginx -e stderr -c /etc/risk-tasks/nginx.conf -g 'daemon off;' &
nginx=$!
trap 'kill -QUIT "$nginx"' QUIT TERM INT

addresses() { getent hosts gateway-1 gateway-2 | sort; }
known=$(addresses)
while kill -0 "$nginx" 2>/dev/null; do
  sleep 2 &
  wait $!
  found=$(addresses)
  # While one is away its name leads nowhere: what was known holds until both are there.
  if [ "$found" != "$known" ] && [ "$(printf '%s\n' "$found" | wc -l)" = 2 ]; then
    kill -HUP "$nginx" && known=$found
  fi
done
wait "$nginx"
