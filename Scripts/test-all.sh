#!/bin/bash
# Everything, nothing sampled; the result is written to docs/test-results.md with where and when: test-all.sh [SUITE…], and then it says
# that it was a part.
set -euo pipefail
cd "$(dirname "$0")/.."
result=.build/test-all.txt
page=docs/test-results.md
status=0
IMMURE_TEST_ALL=1 Scripts/test.sh "$@" 2>&1 | tee "$result" || status=$?
# What began and did not end must not stand there as a result.
if ! grep -q '^Suites, time of budget' "$result"; then
  echo "test-all.sh: the run did not come to its end; $page is as it was" >&2
  exit 1
fi
{
  if [ $# -eq 0 ]; then echo "# The last run of \`make test-all\`"; else echo "# A part of \`make test-all\`"; fi
  echo
  echo "$(date -u +%Y-%m-%d), commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown), $(swift --version 2>/dev/null | head -1)."
  if [ $# -gt 0 ]; then
    echo "Only what stands in the table was run: \`make test-all SUITES=\"$*\"\`."
  fi
  echo
  echo '```'
  sed -n '/^Suites, time of budget/,$p' "$result"
  echo '```'
} >"$page"
exit $status
