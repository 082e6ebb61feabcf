#!/usr/bin/env bash
# What CI checks besides the tests: format and lint, types (tests too), the packages as npm would see
# them, and core's size. Ends with `checks: N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
passed=0 failed=0

check() { # name, command…
  if "${@:2}"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED: $1"
  fi
}

check 'build' tsc -b
check 'types of tests' tsc --noEmit -p tsconfig.tests.json
check 'format and lint' biome ci --error-on-warnings .
for package in packages/*/; do
  check "publint $package" publint --strict "$package"
  # ESM only, as the architecture page says: CommonJS users require() it on Node ≥ 20.19.
  check "attw $package" bash -c "cd $package && attw --pack . --profile esm-only --quiet"
done
check 'size of core' node scripts/size.mjs
echo "checks: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
