#!/bin/bash
# Everything, nothing sampled: test-all.sh [SUITE…]. The result of each suite is written to docs/test-results.md with where and when it ran;
# the lines of suites that did not run this time stay as they are.
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
when="$(date -u +%Y-%m-%d) at $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
where=$(sed -nE 's/^Suites, time of budget \((.*)\):$/\1/p' "$result")
lines=$(sed -n '/^Suites, time of budget/,$p' "$result" | sed -nE 's/^  ([A-Z][A-Za-z]+ .*)$/\1/p')
{
  echo "# The last run of \`make test-all\`"
  echo
  echo "Every suite with nothing sampled: what it took, of what it may take, what came of it, when and at which commit."
  echo
  echo '```'
  {
    # Those of earlier runs first, so that a newer line of the same suite takes their place.
    [ ! -e $page ] || sed -nE '/^```/,/^```/s/^([A-Z][A-Za-z]+ .*)$/\1/p' $page
    while IFS= read -r line; do [ -z "$line" ] || echo "$line; $when, $where"; done <<<"$lines"
  } | awk '{ line[$1] = $0 } END { for (suite in line) print line[suite] }' | sort
  echo '```'
} >"$page.new"
mv "$page.new" "$page"
exit $status
