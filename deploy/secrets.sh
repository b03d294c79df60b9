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

of() { # of FILE HOST: the password of HOST in the URL in FILE, or nothing
  [ ! -e "secrets/$1" ] || sed -n "s#^redis://:\(.*\)@$2:6379/0\$#\1#p" "secrets/$1"
}

# Our own servers share one password; a broker_url of another server keeps its own.
password=$(of broker_url redis)
[ -n "$password" ] || password=$(of cache_url cache)
[ -n "$password" ] || password=$(of local_url 127.0.0.1)
if [ -z "$password" ] && [ -e secrets/redis_users ]; then
  echo "secrets/redis_users has only the hash of a password: remove it, or restore secrets/broker_url." >&2
  exit 1
fi
[ -n "$password" ] || password=$(random)
if [ ! -e secrets/redis_users ]; then
  digest=$(printf %s "$password" | sha256sum | cut -d ' ' -f 1)
  # The servers have only the hash. The user of the health checks may only say PING.
  printf 'user default on #%s ~* &* +@all -@admin\nuser health on nopass resetchannels -@all +ping\n' \
    "$digest" | keep redis_users
fi
[ -e secrets/cache_url ] || printf 'redis://:%s@cache:6379/0\n' "$password" | keep cache_url
[ -e secrets/local_url ] || printf 'redis://:%s@127.0.0.1:6379/0\n' "$password" | keep local_url
[ -e secrets/broker_url ] || printf 'redis://:%s@redis:6379/0\n' "$password" | keep broker_url
if [ ! -e secrets/gateway_tokens ]; then
  # The gateways have only the hash. The token has every role; give it to the first caller.
  token=$(random)
  digest=$(printf %s "$token" | sha256sum | cut -d ' ' -f 1)
  printf '[[tokens]]\nname = "first"\nroles = ["read", "check", "publish", "operate"]\nsha256 = "%s"\n' \
    "$digest" | keep gateway_tokens
  printf %s "$token" | keep gateway_token
fi
[ -e secrets/flower_password ] || random | keep flower_password
