#!/usr/bin/env bash
# Makes sure a Docker engine answers and that every image the integration tests start exists.
# Exit codes: 0 ready, 1 a step failed (message says which), 3 this machine cannot do it.
set -euo pipefail

# tag | folder with Dockerfile | Debian suite of the stand-in
IMAGES=(
  'rabbitmq:4.3-management|rabbitmq/sid|trixie'
  'rabbitmq:4-management|rabbitmq|trixie'
  'rabbitmq:3.10-management|rabbitmq|bookworm'
  'redis:8|redis|trixie'
  'redis:7.0|redis|bookworm'
  'valkey/valkey:8|valkey|trixie'
  'nats:2.15|nats/sid|trixie'
  'nats:2.10|nats|trixie'
  'nats:2.9|nats|bookworm'
  'softwaremill/elasticmq-native:1|elasticmq|trixie'
  'motoserver/moto:5|moto|trixie'
  'postgres:17|postgres|trixie'
  'postgres:15|postgres|bookworm'
)

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BASE_IMAGE=msgloop/debian # stand-ins are built on msgloop/debian:<suite>
DOCKERD_LOG=/var/log/dockerd.log
PATH=$PATH:/usr/sbin:/sbin
WORK=

say() { echo "images: $*"; }

fail() { # exit code, message
  echo "images: $2" >&2
  exit "$1"
}

# In the foreground, so that Ctrl-C reaches the command too.
bounded() { # seconds, command…
  if command -v timeout > /dev/null; then timeout --foreground -k 10 "$@"; else "${@:2}"; fi
}

# Runs a step silently; when it fails, shows the end of its output and what to do.
run() { # advice, seconds, command…
  local advice=$1
  shift
  bounded "$@" > "$WORK/log" 2>&1 < /dev/null && return
  tail -n 25 "$WORK/log" >&2
  fail 1 "failed (limit $1 s): ${*:2}. $advice"
}

is_debian_root() {
  [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null && grep -qs '^ID=debian$' /etc/os-release
}

install_packages() {
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120)
  run 'Check the apt sources of this machine.' 180 "${apt[@]}" update
  run 'Check the apt sources of this machine.' 300 \
    "${apt[@]}" install --yes --no-install-recommends "$@"
}

# ---- engine ----

engine_answers() { command -v docker > /dev/null && bounded 15 docker info > /dev/null 2>&1; }

await_engine() { # seconds, id of the dockerd process
  local end=$((SECONDS + $1))
  until engine_answers; do
    ((SECONDS < end)) && kill -0 "$2" 2> /dev/null || return 1
    sleep 0.3
  done
}

# Left behind when a machine is cut off; the ids in them may be some other process by now.
drop_stale_pid_files() {
  local file pid
  for file in /run/docker.pid /run/docker/containerd/containerd.pid; do
    pid=$(cat "$file" 2> /dev/null) || continue
    grep -qsE '^(dockerd|containerd)$' "/proc/$pid/comm" || rm -f "$file"
  done
}

# Sets FIREWALL_FLAGS. Without any iptables, docker's own proxy still publishes ports.
choose_firewall() {
  FIREWALL_FLAGS=()
  iptables -t nat -nL > /dev/null 2>&1 && return
  if iptables-legacy -t nat -nL > /dev/null 2>&1; then
    update-alternatives --quiet --set iptables /usr/sbin/iptables-legacy
  else
    FIREWALL_FLAGS=(--iptables=false)
  fi
}

start_dockerd() {
  local pid
  if ! pid=$(pgrep -o -x dockerd); then
    say "starting dockerd (log: $DOCKERD_LOG)…"
    drop_stale_pid_files
    choose_firewall
    # DOCKERD_FLAGS is a list of words.
    # shellcheck disable=SC2086
    setsid nohup dockerd --log-level=warn ${FIREWALL_FLAGS[@]+"${FIREWALL_FLAGS[@]}"} ${DOCKERD_FLAGS:-} \
      > "$DOCKERD_LOG" 2>&1 < /dev/null 9>&- &
    pid=$!
  fi
  await_engine 60 "$pid" && return
  tail -n 25 "$DOCKERD_LOG" >&2 || true
  fail 1 "dockerd does not answer. See $DOCKERD_LOG; flags for it can be given in DOCKERD_FLAGS."
}

ensure_engine() {
  engine_answers && return
  [ -z "${DOCKER_HOST:-}" ] ||
    fail 1 "the engine at DOCKER_HOST=$DOCKER_HOST does not answer. Start it, or unset DOCKER_HOST."
  is_debian_root ||
    fail 3 'no Docker engine answers, and installing one here needs root on Debian.'
  if ! command -v dockerd > /dev/null || ! command -v iptables > /dev/null; then
    say 'installing Docker from Debian packages…'
    install_packages docker.io iptables procps
  fi
  engine_answers || start_dockerd
}

# ---- images ----

image_exists() { docker image inspect "$1" > /dev/null 2>&1; }

# Prints the table rows whose image is not there yet.
missing_rows() {
  local row
  for row in "${IMAGES[@]}"; do
    image_exists "${row%%|*}" || echo "$row"
  done
}

registry_answers() { # tag
  [ "${MSGLOOP_IMAGES_SKIP_PULL:-}" != 1 ] && bounded 15 docker manifest inspect "$1" > /dev/null 2>&1
}

pull() { # tag
  say "pulling $1…"
  bounded 300 docker pull --quiet "$1" > /dev/null && return
  say "pulling $1 failed, building a stand-in"
  return 1
}

# The mirror this machine's own apt uses for Debian itself (any format of its sources).
debian_mirror() {
  [ -z "${DEBIAN_MIRROR:-}" ] || { echo "$DEBIAN_MIRROR" && return; }
  # $(REPO_URI) is apt's own placeholder.
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' |
    awk '/^https?:/ && !found { print; found = 1 } END { exit !found }'
}

build_tools_present() { # suite
  command -v debootstrap > /dev/null && command -v gpgv > /dev/null &&
    [ -e "/usr/share/keyrings/debian-archive-$1-stable.gpg" ] && debian_mirror > /dev/null
}

ensure_build_tools() { # suite
  is_debian_root ||
    fail 3 'images are missing, no registry answers, and building stand-ins needs root on Debian.'
  build_tools_present "$1" && return
  say 'installing debootstrap…'
  # The newest keyring of a Debian release knows the keys of the next release too.
  install_packages debootstrap debian-archive-keyring gpgv
}

# Settings every stand-in wants; nothing of this machine stays inside.
trim_base() { # root folder
  printf '#!/bin/sh\nexit 101\n' > "$1/usr/sbin/policy-rc.d"
  chmod 755 "$1/usr/sbin/policy-rc.d"
  printf 'APT::Install-Recommends "false";\n' > "$1/etc/apt/apt.conf.d/90stand-in"
  printf 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };\n' >> "$1/etc/apt/apt.conf.d/90stand-in"
  printf 'force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\n' \
    > "$1/etc/dpkg/dpkg.cfg.d/90stand-in"
  rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/log/*.log "$1"/usr/share/{doc,man}/*
  : > "$1/etc/resolv.conf"
  : > "$1/etc/hostname"
}

ensure_base() { # suite
  local suite=$1 root=$WORK/$1 mirror
  image_exists "$BASE_IMAGE:$suite" && return
  ensure_build_tools "$suite"
  mirror=$(debian_mirror) ||
    fail 1 "no Debian mirror found in this machine's apt sources. Give one in DEBIAN_MIRROR."
  say "building $BASE_IMAGE:$suite with debootstrap…"
  # In a mount namespace of its own: whatever it mounts is gone when it ends.
  run "Check the mirror $mirror (DEBIAN_MIRROR overrides it) and the package debian-archive-keyring." 600 \
    unshare --mount debootstrap --force-check-gpg --variant=minbase --include=ca-certificates \
    "$suite" "$root" "$mirror"
  trim_base "$root"
  tar -C "$root" -c . | docker import - "$BASE_IMAGE:$suite" > /dev/null ||
    fail 1 "docker import of $BASE_IMAGE:$suite failed. Check the free space of Docker's data folder."
  rm -rf --one-file-system "$root"
}

# Sets CONTEXT: the folder, or a copy of it with what its context.sh fetches by the command it needs.
ensure_context() { # folder
  local needed package
  CONTEXT=$HERE/$1
  [ -e "$CONTEXT/context.sh" ] || return 0
  read -r needed package < <(sed -n 's/^# needs: //p' "$CONTEXT/context.sh")
  if ! command -v "$needed" > /dev/null; then
    say "installing $package…"
    install_packages "$package"
  fi
  CONTEXT=$WORK/context
  rm -rf "$CONTEXT"
  cp -R "$HERE/$1" "$CONTEXT"
  run 'Check that the package registry it fetches from is reachable.' 300 sh "$CONTEXT/context.sh" "$CONTEXT"
}

build() { # tag, folder, suite
  ensure_base "$3"
  ensure_context "$2"
  say "building $1 from Debian $3…"
  # The plain builder: there in every engine, and it sees local images. Host network: the mirror
  # is reached the way this machine reaches it.
  run 'Check that the Debian mirror is reachable.' 600 \
    env DOCKER_BUILDKIT=0 docker build --network host --build-arg "BASE=$BASE_IMAGE:$3" \
    --build-arg http_proxy --build-arg https_proxy --label msgloop.stand-in="$3" \
    --tag "$1" "$CONTEXT"
}

ensure_images() {
  local rows row tag folder suite online=no
  rows=$(missing_rows)
  [ -n "$rows" ] || return 0
  registry_answers "${rows%%|*}" && online=yes
  for row in $rows; do
    IFS='|' read -r tag folder suite <<< "$row"
    [ "$online" = yes ] && pull "$tag" && continue
    build "$tag" "$folder" "$suite"
  done
}

main() {
  local row
  # One run at a time; the lock is this file, and a second run finds everything done.
  exec 9< "${BASH_SOURCE[0]}"
  if command -v flock > /dev/null; then
    flock -w 900 9 || fail 1 'another run of prepare.sh has not finished in 15 minutes. Look at it.'
  fi
  WORK=$(mktemp -d -p "${TMPDIR:-/var/tmp}" msgloop-images.XXXXXX)
  trap 'rm -rf --one-file-system "$WORK"' EXIT
  ensure_engine
  ensure_images
  for row in "${IMAGES[@]}"; do say "ready: ${row%%|*}"; done
}

main
