#!/bin/sh
# Runs the broker in the foreground as user `rabbitmq`; anything else runs as given.
set -eu

max_open_files=65536
cookie=/var/lib/rabbitmq/.erlang.cookie

# Erlang sizes tables by the limit: an engine's default of a billion costs gigabytes.
# shellcheck disable=SC3045 # dash and bash both have -n.
limit=$(ulimit -n)
if [ "$limit" = unlimited ] || [ "$limit" -gt "$max_open_files" ]; then
  # shellcheck disable=SC3045
  ulimit -n "$max_open_files"
fi

if [ "$(id -u)" = 0 ] && [ "${1:-}" = rabbitmq-server ]; then
  # A cookie of this container's own, there before the server or any `docker exec` looks for it.
  if [ ! -s "$cookie" ]; then
    (umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$cookie")
    chmod 400 "$cookie"
  fi
  # Files mounted or copied in (conf.d, data) may belong to anyone; read-only mounts stay as they are.
  chown -R rabbitmq:rabbitmq /var/lib/rabbitmq /etc/rabbitmq 2> /dev/null || true
  exec setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups -- "$@"
fi

exec "$@"
