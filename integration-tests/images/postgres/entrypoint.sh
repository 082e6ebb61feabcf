#!/bin/sh
# Runs the server in the foreground as user `postgres`, with its data in $PGDATA; anything else runs as given.
# As in the official image: POSTGRES_PASSWORD is needed, POSTGRES_USER and POSTGRES_DB may be given, options
# alone are options of the server, and clients of other hosts are let in by password.
set -eu

case "${1:-}" in -*) set -- postgres "$@" ;; esac

as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; }

make_cluster() {
  : "${POSTGRES_PASSWORD:?give the superuser a password in POSTGRES_PASSWORD}"
  user=${POSTGRES_USER:-postgres}
  database=${POSTGRES_DB:-$user}
  secret=$(mktemp)
  printf '%s\n' "$POSTGRES_PASSWORD" > "$secret"
  chown postgres "$secret"
  as_postgres initdb --username="$user" --pwfile="$secret" --auth-host=scram-sha-256 --auth-local=trust > /dev/null
  rm -f "$secret"
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  if [ "$database" != postgres ]; then
    echo "CREATE DATABASE \"$database\";" | as_postgres postgres --single -jE postgres > /dev/null
  fi
}

if [ "${1:-}" = postgres ]; then
  shift
  chown postgres:postgres "$PGDATA"
  chmod 700 "$PGDATA"
  # What a killed server leaves behind: in a container of its own, that process is gone for certain.
  rm -f "$PGDATA/postmaster.pid"
  [ -s "$PGDATA/PG_VERSION" ] || make_cluster
  exec setpriv --reuid=postgres --regid=postgres --init-groups -- \
    postgres -c listen_addresses='*' -c unix_socket_directories=/tmp "$@"
fi

exec "$@"
