#!/bin/sh
# Runs the server in the foreground as user `valkey`, with its data in /data; anything else runs as given.
# As in the official image, options alone are options of the server, and clients of other hosts are let in.
set -eu

case "${1:-}" in -*) set -- valkey-server "$@" ;; esac

if [ "${1:-}" = valkey-server ]; then
  shift
  set -- valkey-server --protected-mode no "$@"
  if [ "$(id -u)" = 0 ]; then
    chown -R valkey:valkey /data
    exec setpriv --reuid=valkey --regid=valkey --init-groups -- "$@"
  fi
fi

exec "$@"
