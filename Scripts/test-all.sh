#!/bin/bash
# Everything, nothing sampled; the result is written to docs/test-results.md with where and when.
set -euo pipefail
cd "$(dirname "$0")/.."
result=.build/test-all.txt
status=0
IMMURE_TEST_ALL=1 Scripts/test.sh 2>&1 | tee "$result" || status=$?
{
  echo "# The last run of \`make test-all\`"
  echo
  echo "$(date -u +%Y-%m-%d), commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown), $(swift --version 2>/dev/null | head -1)."
  echo
  echo '```'
  sed -n '/^Suites, time of budget/,$p' "$result"
  echo '```'
} >docs/test-results.md
exit $status
