#!/bin/sh
# Make the passwords that are missing, in secrets/: a folder for its owner alone, with files that the
# containers' user (10001) can read once they are mounted. What is there is left as it is.
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
  # The servers know the hash alone. The user of the health checks may say PING, and no more.
  printf 'user default on #%s ~* &* +@all -@admin\nuser health on nopass resetchannels -@all +ping\n' \
    "$digest" | keep redis_users
  printf 'redis://:%s@cache:6379/0\n' "$password" | keep cache_url
  printf 'redis://:%s@127.0.0.1:6379/0\n' "$password" | keep local_url
  printf 'redis://:%s@redis:6379/0\n' "$password" | keep broker_url
fi
if [ ! -e secrets/gateway_tokens ]; then
  # The gateways know the hash alone; the token, for all there is, is yours to hand on.
  token=$(random)
  digest=$(printf %s "$token" | sha256sum | cut -d ' ' -f 1)
  printf '[[tokens]]\nname = "first"\nroles = ["read", "check", "publish", "operate"]\nsha256 = "%s"\n' \
    "$digest" | keep gateway_tokens
  printf %s "$token" | keep gateway_token
fi
[ -e secrets/flower_password ] || random | keep flower_password
