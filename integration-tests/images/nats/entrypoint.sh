#!/bin/sh
# As in the official image: flags alone are flags of nats-server; anything else runs as given.
set -eu

case "${1:-}" in
-*) set -- nats-server "$@" ;;
esac

exec "$@"
