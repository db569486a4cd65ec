#!/bin/bash
# Finds the functions that the hot verbs run and the variables that they change, and their order: link-order.sh BIN_FOLDER ORDER. The linker
# then lays them side by side, what most verbs use first, so that each touches few pages of the executable (docs/speed.md). Runs again only where something was compiled
# since; what it found is new, BIN_FOLDER/immure is taken away so that it is linked again. What cannot be raised or traced here is left
# out of the order: slower, never wrong.
set -euo pipefail

bin=$(realpath "${1:?usage: link-order.sh BIN_FOLDER ORDER}")
order=${2:?usage: link-order.sh BIN_FOLDER ORDER}
cd "$(dirname "$0")/.."
immure=$bin/immure
map=.deps/immure.map
[ -e "$order" ] && [ -z "$(find "$bin"/*.build -name '*.o' -newer "$order" -print -quit)" ] && exit 0
if ! command -v gcc >/dev/null || [ ! -e "$map" ]; then
  echo "link-order.sh: no gcc, or no map of the last link: functions stay as they come" >&2
  exit 0
fi

work=$(mktemp -d /var/tmp/link-order.XXXXXX)
id=$(basename "$work")
runtime=("$work/immure-oci" --root "$work/oci")
clear() {
  "$immure" rm --root "$work/root" -f --all >/dev/null 2>&1 || true
  for name in "$id.created" "$id.run"; do "${runtime[@]}" delete --force "$name" >/dev/null 2>&1 || true; done
}
trap 'clear; rm -rf "$work"' EXIT
gcc -std=gnu11 -O2 -Wall -Wextra -Werror Bench/link-order.c -o "$work/link-order"
# A line of the map: address, load address, size, alignment, and from column 50 on an output section, 8 further in an input section,
# 16 further in a symbol.
symbols() {
  awk -v sections="$1" '$1 == "VMA" { next } substr($0, 50, 1) != " " { wanted = $5 ~ sections }
    wanted && substr($0, 50, 16) == "                " { address = sprintf("%16s", $1); gsub(" ", "0", address); print address, $5 }' "$map" |
    sort
}
symbols '^[.]text$' >"$work/functions"
# Swift writes to what it calls .rodata here (Scripts/link-layout.ld).
symbols '^[.](data|rodata|bss)$' >"$work/variables"
for kind in functions variables; do cut -d' ' -f1 "$work/$kind" | uniq >"$work/$kind.addresses"; done
sort "$work/functions" "$work/variables" >"$work/names"

# What the verbs of an OCI runtime are given: a program that ends at once, or with an argument waits for its end.
ln -s "$immure" "$work/immure-oci"
mkdir -p "$work/created/rootfs" "$work/run"
echo '#include <unistd.h>
int main(int count, char **words) { return words[0] && count > 1 ? pause() : 0; }' |
  gcc -static -O2 -x c - -o "$work/created/rootfs/program"
"$work/immure-oci" spec --bundle "$work/created"
seccomp='{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], "syscalls":
  [{"names": ["keyctl", "ptrace"], "action": "SCMP_ACT_ERRNO"}, {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "args":
  [{"index": 0, "value": 2114060288, "op": "SCMP_CMP_MASKED_EQ", "valueTwo": 2114060288}]}]}'
sed -i -e 's/"terminal": true/"terminal": false/' -e 's|"sh"|"/program", "waits"|' -e "s|\"rootfs\"|\"$work/created/rootfs\"|" \
  -e "s|\"linux\": {|&\"seccomp\": ${seccomp//$'\n'/ },|" "$work/created/config.json"
sed -e 's|"/program", "waits"|"/program"|' "$work/created/config.json" >"$work/run/config.json"

# trace ++ COMMAND… ++ COMMAND…: in a row; the second field tells the rows' commands apart.
row=0
trace() {
  row=$((row + 1))
  if (cd / && "$work/link-order" "$work/functions.addresses" "$work/variables.addresses" "$@") >"$work/out" 2>"$work/error"; then
    sed "s/^/$row./" "$work/out" >>"$work/hits"
  else
    echo "link-order.sh: ${*:2:6}: not traced: $(head -1 "$work/error")" >&2
  fi
}
: >"$work/hits"
run=("$immure" run --quiet --root "$work/root")
trace ++ "${run[@]}" -- /bin/true
trace ++ "${run[@]}" --wall jail -- /bin/true
trace ++ "${run[@]}" -d -- /bin/true
trace ++ "${run[@]}" --wall sentry -- /bin/true
trace ++ "${runtime[@]}" create --bundle "$work/created" "$id.created" ++ "${runtime[@]}" start "$id.created" \
  ++ "${runtime[@]}" state "$id.created" ++ "${runtime[@]}" exec "$id.created" /program \
  ++ "${runtime[@]}" kill "$id.created" KILL ++ "${runtime[@]}" delete --force "$id.created" \
  ++ "${runtime[@]}" run --bundle "$work/run" "$id.run"
[ -s "$work/hits" ] || exit 0

# Those that most commands run come first, then each set of commands' own, in the order of the first calls.
awk 'NR == FNR { sub(/^0+/, "", $1); names[$1] = names[$1] " " $2; next }
  { if (!($2 in first)) first[$2] = FNR; commands[$2] = commands[$2] " " $1; count[$2]++ }
  END { for (address in first) print count[address] "\t" commands[address] "\t" first[address] "\t" names[address] }' \
  "$work/names" "$work/hits" | sort -t$'\t' -k1,1nr -k2,2 -k3,3n | cut -f4 | tr ' ' '\n' | awk 'NF && !told[$1]++' >"$work/order"
if [ -e "$order" ] && cmp -s "$work/order" "$order"; then
  touch "$order"
  exit 0
fi
cp "$work/order" "$order"
rm -f "$immure"
