#!/bin/sh
# nginx resolves its gateways only when it reads its configuration. A restarted gateway may have another
# address, so this script looks every two seconds and reloads the configuration after a change.
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
  # The name of a stopped gateway does not resolve: keep the known addresses until both do.
  if [ "$found" != "$known" ] && [ "$(printf '%s\n' "$found" | wc -l)" = 2 ]; then
    kill -HUP "$nginx" && known=$found
  fi
done
wait "$nginx"
