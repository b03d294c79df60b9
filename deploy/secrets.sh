#!/bin/sh
# Make the passwords that are missing, in secrets/. Only the owner may enter the folder; the user of
# the containers (10001) can read the files once they are mounted. Existing files are kept.
set -eu
cd "$(dirname "$0")/.."
umask 077
mkdir -p secrets
chmod 0700 secrets

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
keep() { # keep NAME: standard input becomes secrets/NAME
  cat > "secrets/$1"
  chmod 0444 "secrets/$1"
}

if [ ! -e secrets/broker_url ]; then
  password=$(random)
  digest=$(printf %s "$password" | sha256sum | cut -d ' ' -f 1)
  # The servers have only the hash. The user of the health checks may only say PING.
  printf 'user default on #%s ~* &* +@all -@admin\nuser health on nopass resetchannels -@all +ping\n' \
    "$digest" | keep redis_users
  printf 'redis://:%s@cache:6379/0\n' "$password" | keep cache_url
  printf 'redis://:%s@127.0.0.1:6379/0\n' "$password" | keep local_url
  printf 'redis://:%s@redis:6379/0\n' "$password" | keep broker_url
fi
if [ ! -e secrets/gateway_tokens ]; then
  # The gateways have only the hash. The token has every role; give it to the first caller.
  token=$(random)
  digest=$(printf %s "$token" | sha256sum | cut -d ' ' -f 1)
  printf '[[tokens]]\nname = "first"\nroles = ["read", "check", "publish", "operate"]\nsha256 = "%s"\n' \
    "$digest" | keep gateway_tokens
  printf %s "$token" | keep gateway_token
fi
[ -e secrets/flower_password ] || random | keep flower_password
