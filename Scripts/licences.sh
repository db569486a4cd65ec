#!/bin/bash
# Prints the licences of all that the static executables hold of others: Swift's own libraries, the packages that were fetched, Debian's
# static libraries: licences.sh. It fails where one is missing: what has no notice must not be given away.
set -euo pipefail
cd "$(dirname "$0")/.."
emit() {
  echo "==== $1"
  for file in "${@:2}"; do
    [ -s "$file" ] || { echo "licences.sh: $file: the licence of $1 is not there" >&2; exit 1; }
    echo
    cat "$file"
  done
  echo
}
echo "immure and immure-front hold parts of the following. The sources of those under the GNU LGPL are Debian's packages of these names;"
echo "immure's own source links anew against any other build of them (make build)."
echo
resources=$(swift -print-target-info | sed -n 's/.*"runtimeResourcePath": "\(.*\)".*/\1/p')
emit "Swift's runtime and libraries" "$resources/../../share/swift/LICENSE.txt"
for folder in .build/checkouts/*/; do
  name=$(basename "$folder")
  files=("$folder"LICENSE*)
  [ ! -e "${folder}NOTICE.txt" ] || files+=("${folder}NOTICE.txt")
  emit "$name" "${files[@]}"
done
libraries=(libc6-dev zlib1g-dev libzstd-dev libssl-dev)
[ ! -e .deps/lib/libisal.a ] || libraries+=(libisal-dev)
for library in "${libraries[@]}"; do emit "$library" "/usr/share/doc/$library/copyright"; done
