#!/bin/bash
# Makes the pages of docs/ that are written from tables: SWIFT is the compiler to build with. A test of SentryPlatformTests holds them to the code.
set -euo pipefail
cd "$(dirname "$0")/.."
IMMURE_PARTS=core "${1:-swift}" build --product SentryProbe
probe=$(IMMURE_PARTS=core "${1:-swift}" build --show-bin-path)/SentryProbe
page() {
  "$probe" --page "${@:2}" > "docs/$1.new"
  mv "docs/$1.new" "docs/$1"
}
page sentry-calls.md calls
page sentry-gvisor.md gvisor Tests/Fixtures/gvisor/calls.tsv
