#!/bin/bash
# Writes Bench/link-order.txt: the functions that a start runs, in the order of their first calls. The linker lays them side by
# side, so that a start touches fewer pages of the executable (docs/speed.md). As root, with an unstripped release immure:
# link-order.sh IMMURE. An order that no longer fits the code is slower, never wrong.
set -euo pipefail

immure=$(realpath "${1:?usage: link-order.sh UNSTRIPPED_IMMURE}")
cd "$(dirname "$0")/.."
work=$(mktemp -d /var/tmp/link-order.XXXXXX)
trap '"$immure" rm --root "$work/root" -f --all >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
gcc -std=gnu11 -O2 -Wall -Wextra -Werror Bench/link-order.c -o "$work/link-order"
nm "$immure" | awk '$2 ~ /^[tTwWiI]$/ { print $1, $3 }' | sort >"$work/names"
[ -s "$work/names" ] || { echo "ERROR: $immure has no symbols: link it without -s" >&2; exit 1; }
cut -d' ' -f1 "$work/names" | uniq >"$work/addresses"
for words in "--" "--wall jail --" "-d --"; do
  # shellcheck disable=SC2086
  (cd / && "$work/link-order" "$work/addresses" "$immure" run --root "$work/root" $words /bin/true) | grep -xE '[0-9a-f]+' >>"$work/hit"
done
awk 'NR == FNR { sub(/^0+/, "", $1); names[$1] = names[$1] " " $2; next }
  { count = split(names[$1], words, " "); for (i = 1; i <= count; i++) if (!told[words[i]]++) print words[i] }' \
  "$work/names" "$work/hit" >Bench/link-order.txt
wc -l Bench/link-order.txt
