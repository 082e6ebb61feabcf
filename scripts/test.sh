#!/usr/bin/env bash
# Every test: first those that need no broker, then conformance and faults on real brokers in Docker.
# Prepares Docker and images itself where it may (root on Debian). Where it may not, it says in its last
# lines which brokers were not tested; with CI=true that is a failure. What failed is run once more, alone,
# and named in the last lines (ADR 0034); MSGLOOP_STRICT=1 gives no second try.
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
export AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED=true TESTCONTAINERS_RYUK_DISABLED=true
mkdir -p .reports
rm -f .reports/*.json

if ! tsc -b; then
  echo '0 passed, 1 failed'
  exit 1
fi

suite() { # name
  vitest run --project "$1" --reporter=default --reporter=json --outputFile.json=".reports/$1.json"
}

status=0
suite unit || status=1

untested=''
log=.reports/images.log
bash integration-tests/images/prepare.sh 2>&1 | tee "$log"
if [ "${PIPESTATUS[0]}" -eq 0 ]; then
  suite brokers || status=1
else
  untested=$(tail -n 1 "$log")
fi

if [ "$status" -ne 0 ] && [ "${MSGLOOP_STRICT:-}" != 1 ]; then
  node scripts/second-try.mjs && status=0
fi

echo
node scripts/summary.mjs || status=1
if [ -n "$untested" ]; then
  echo
  echo 'NOT TESTED: RabbitMQ, SQS (ElasticMQ), NATS, Redis and Valkey.'
  echo "  Why: $untested"
  echo '  To test them: run as root on Debian, or start a Docker engine, and run this again.'
  if [ "${CI:-}" = true ]; then status=1; fi
fi
exit $status
