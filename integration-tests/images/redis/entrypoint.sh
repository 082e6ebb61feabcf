#!/bin/sh
# Runs the server in the foreground as user `redis`, with its data in /data; anything else runs as given.
# As in the official image, options alone are options of the server, and clients of other hosts are let in.
set -eu

case "${1:-}" in -*) set -- redis-server "$@" ;; esac

if [ "${1:-}" = redis-server ]; then
  shift
  set -- redis-server --protected-mode no "$@"
  if [ "$(id -u)" = 0 ]; then
    chown -R redis:redis /data
    exec setpriv --reuid=redis --regid=redis --init-groups -- "$@"
  fi
fi

exec "$@"
