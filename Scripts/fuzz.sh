#!/bin/bash
# Builds the fuzz targets with libFuzzer and AddressSanitizer and runs each: fuzz.sh [--seconds N] [NAME…]. A crash leaves its input
# in .build-fuzz/crashes and the command that repeats it. Seeds stand in Fuzz/Corpus/NAME and are never changed.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=60
if [ "${1:-}" = --seconds ]; then
  seconds=$2
  shift 2
fi
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for folder in Fuzz/Fuzz*; do names+=("$(basename "$folder")"); done
fi
export IMMURE_FUZZ=1 SWIFT_BACKTRACE=enable=no
scratch=.build-fuzz
mkdir -p "$scratch/crashes"
failed=()
for name in "${names[@]}"; do
  swift build -c release --scratch-path "$scratch" --product "$name" >"$scratch/$name.build.log" 2>&1 || {
    grep error: "$scratch/$name.build.log" >&2 || tail -5 "$scratch/$name.build.log" >&2
    failed+=("$name")
    continue
  }
  grown="$scratch/corpus/$name"
  mkdir -p "$grown"
  seeds=()
  [ -d "Fuzz/Corpus/$name" ] && seeds=("Fuzz/Corpus/$name")
  # A world of the sentry's holds itself: it ends with its process.
  leaks=1
  case $name in FuzzSentryCalls | FuzzSentryMessages) leaks=0 ;; esac
  if ASAN_OPTIONS=detect_leaks=$leaks "$scratch/release/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
    -artifact_prefix="$scratch/crashes/$name-" -print_final_stats=1 "$grown" "${seeds[@]}" >"$scratch/$name.log" 2>&1; then
    echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$scratch/$name.log") runs in $seconds s, no crash"
  else
    echo "$name: FAILED" >&2
    grep -E 'ERROR|SUMMARY|Test unit written|Fatal error' "$scratch/$name.log" >&2 || tail -5 "$scratch/$name.log" >&2
    echo "again with: $scratch/release/$name FILE (the file named above)" >&2
    failed+=("$name")
  fi
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "ERROR: failed: ${failed[*]}" >&2
  exit 1
fi
