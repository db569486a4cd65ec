#!/bin/bash
# Finds the functions that a start runs, in the order of their first calls: link-order.sh BIN_FOLDER ORDER. The linker then lays them side
# by side, so that a start touches fewer pages of the executable (docs/speed.md). Runs again only where something was compiled since;
# what it found is new, BIN_FOLDER/immure is taken away so that it is linked again. Where no box can be raised or traced, there is no order:
# slower, never wrong.
set -euo pipefail

bin=$(realpath "${1:?usage: link-order.sh BIN_FOLDER ORDER}")
order=${2:?usage: link-order.sh BIN_FOLDER ORDER}
cd "$(dirname "$0")/.."
immure=$bin/immure
map=.deps/immure.map
[ -e "$order" ] && [ -z "$(find "$bin"/*.build -name '*.o' -newer "$order" -print -quit)" ] && exit 0

work=$(mktemp -d /var/tmp/link-order.XXXXXX)
trap '"$immure" rm --root "$work/root" -f --all >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
if ! command -v gcc >/dev/null || [ ! -e "$map" ]; then
  echo "link-order.sh: no gcc, or no map of the last link: functions stay as they come" >&2
  exit 0
fi
gcc -std=gnu11 -O2 -Wall -Wextra -Werror Bench/link-order.c -o "$work/link-order"
# A line of the map: address, load address, size, alignment, and from column 50 on an output section, 8 further in an input section,
# 16 further in a symbol.
awk '$1 == "VMA" { next } substr($0, 50, 1) != " " { text = $5 == ".text" }
  text && substr($0, 50, 16) == "                " { address = sprintf("%16s", $1); gsub(" ", "0", address); print address, $5 }' "$map" |
  sort >"$work/names"
cut -d' ' -f1 "$work/names" | uniq >"$work/addresses"
for words in "--" "--wall jail --" "-d --"; do
  # shellcheck disable=SC2086
  if ! (cd / && "$work/link-order" "$work/addresses" "$immure" run --quiet --root "$work/root" $words /bin/true) >"$work/out" 2>"$work/error"; then
    echo "link-order.sh: functions stay as they come: $(head -1 "$work/error")" >&2
    exit 0
  fi
  grep -xE '[0-9a-f]+' "$work/out" >>"$work/hit" || true
done
awk 'NR == FNR { sub(/^0+/, "", $1); names[$1] = names[$1] " " $2; next }
  { count = split(names[$1], words, " "); for (i = 1; i <= count; i++) if (!told[words[i]]++) print words[i] }' \
  "$work/names" "$work/hit" >"$work/order"
if [ -e "$order" ] && cmp -s "$work/order" "$order"; then
  touch "$order"
  exit 0
fi
cp "$work/order" "$order"
"$immure" rm --root "$work/root" -f --all >/dev/null
rm -f "$immure"
