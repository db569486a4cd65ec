#!/bin/bash
# Runs every test suite of the release build, one after the other, each within its budget, and prints what each took.
# `make test` builds first. test.sh SUITE… runs some; IMMURE_TEST_ALL=1 lets walks and generators take everything, not a sample.
set -euo pipefail
cd "$(dirname "$0")/.."

# Seconds that a suite may take on two cores. One that takes longer is named; one that takes twice as long is ended and fails.
declare -A budgets=(
  [HouseTests]=30 [FormatsTests]=90 [SeccompTests]=120 [PolicyTests]=20 [LinuxTests]=60 [WallsTests]=60 [TreesTests]=60 [GuestTests]=30
  [ConfinementTests]=60 [SupervisionTests]=60 [NetworkTests]=60 [WorkspaceTests]=90 [ImagesTests]=150 [OptionsTests]=20
  [OCITests]=150 [OCIEscapeTests]=120 [EngineTests]=150 [KernelTests]=120 [PodmanTests]=120 [RegistryTests]=180 [TraceTests]=90 [SentryTests]=30 [SentryFilesTests]=60 [SentryEventsTests]=30 [SentryTasksTests]=20 [SentryProgramsTests]=180 [SentryELFTests]=20 [SentryPythonTests]=120 [SentryPlatformTests]=180 [CommandTests]=480 [Fuzz]=330 [Kernels]=3600
)
# Those that walk through every system call, or through every case that a generator makes, when nothing is sampled; and, with all,
# each fuzz target for 30 s, and Debian's kernels with systemd (Scripts/test-kernels.sh), which are fetched, unpacked and emulated.
fuzz_seconds=5
if [ "${IMMURE_TEST_ALL:-}" = 1 ]; then
  budgets+=([OCIEscapeTests]=3600 [RegistryTests]=3600 [OCITests]=900 [ImagesTests]=900 [CommandTests]=1500 [Fuzz]=900 [SentryPythonTests]=3600 [SentryProgramsTests]=1500)
  fuzz_seconds=30
fi
# Whole walks that take every core for longer than other tests of their suite may wait: then they run after those, each alone.
declare -A walks=()
[ "${IMMURE_TEST_ALL:-}" != 1 ] || walks=([OCIEscapeTests]="KillWalkTests RaceTests OCIFaultTests" [RegistryTests]="CrashTests MemoryTests")
tests_of() {
  local suite=$1 alone=${walks[$1]:-} status=0 skip=() walk
  for walk in $alone; do skip+=(--skip "^$suite\\.$walk/"); done
  swift test -c release --skip-build --filter "^$suite\\." "${skip[@]}" || status=$?
  for walk in $alone; do swift test -c release --skip-build --filter "^$suite\\.$walk/" || status=$?; done
  return $status
}
export -f tests_of
export IMMURE_BIN="${IMMURE_BIN:-$PWD/.build/release}"
logs=.build/test-logs
mkdir -p "$logs"

failed=()
table=()
suites=("$@")
if [ ${#suites[@]} -eq 0 ]; then
  for folder in Tests/*Tests; do suites+=("$(basename "$folder")"); done
  [ -d Fuzz ] && suites+=(Fuzz)
  if [ "${IMMURE_TEST_ALL:-}" = 1 ]; then
    if [ "$(id -u)" -eq 0 ]; then suites+=(Kernels); else table+=("Kernels            not run: wants root"); fi
  fi
fi

run=0
total=$SECONDS
for suite in "${suites[@]}"; do
  budget=${budgets[$suite]:-}
  if [ -z "$budget" ]; then
    echo "test.sh: $suite has no budget: give it one in Scripts/test.sh" >&2
    failed+=("$suite")
    continue
  fi
  case $suite in
    Fuzz) command=(Scripts/fuzz.sh --seconds $fuzz_seconds) ;;
    Kernels) command=(Scripts/test-kernels.sh "$IMMURE_BIN") ;;
    *) command=(bash -c "$(declare -p walks); tests_of $suite") ;;
  esac
  start=$SECONDS
  status=0
  timeout -k 10 $((budget * 2)) "${command[@]}" >"$logs/$suite.log" 2>&1 </dev/null || status=$?
  took=$((SECONDS - start))
  # One line a run; a suite whose walks run alone has several.
  tests=$(sed -nE 's/.*Test run with ([0-9]+) tests?.* (passed|failed).*/\1/p' "$logs/$suite.log" | paste -sd+)
  said=${tests:+$((tests)) tests}
  run=$((run + ${tests:-1}))
  # Nothing run is no success: a filter that matches nothing ends with 0.
  if [ $status -eq 0 ] && [ "$suite" != Fuzz ] && [ "$suite" != Kernels ] &&
    { ! grep -qE 'Test run with [1-9]' "$logs/$suite.log" || grep -qE 'Test run with 0 ' "$logs/$suite.log"; }; then status=1; fi
  verdict=passed
  [ $took -gt $budget ] && verdict="passed, over its budget"
  if [ $status -ne 0 ]; then
    verdict=FAILED
    [ $status -eq 124 ] || [ $status -eq 137 ] && verdict="FAILED: ended after twice its budget"
    failed+=("$suite")
    echo "== $suite: $verdict; from $logs/$suite.log:" >&2
    grep -E '✘|↳|error:|ERROR|Fatal|SUMMARY' "$logs/$suite.log" | head -60 >&2 || tail -20 "$logs/$suite.log" >&2
    echo "== again with: Scripts/test.sh $suite" >&2
  fi
  table+=("$(printf '%-18s %5d s of %4d s  %s%s' "$suite" "$took" "$budget" "$verdict" "${said:+ ($said)}")")
  echo "${table[-1]}"
done

echo
echo "Suites, time of budget (release build, $(nproc) cores, $(uname -sr), $([ "$(id -u)" -eq 0 ] && echo root || echo user)):"
printf '  %s\n' "${table[@]}"
echo "  total: $((SECONDS - total)) s"
# Tests that ran (each fuzz run counts as one), and suites in which one failed.
echo "$((run - ${#failed[@]})) passed, ${#failed[@]} failed"
if [ ${#failed[@]} -gt 0 ]; then
  echo "failed: ${failed[*]}" >&2
  exit 1
fi
