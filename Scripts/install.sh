#!/bin/bash
# Puts the built command where it is used from: install.sh BUILD-FOLDER PREFIX. Everything is found again relative to bin/immure.
set -euo pipefail
cd "$(dirname "$0")/.."
from=$1
prefix=$2
install -d "$prefix"/{bin,libexec,share/immure/policies,share/man/man1,share/bash-completion/completions} \
  "$prefix"/{share/zsh/site-functions,share/fish/vendor_completions.d,share/doc/immure}
# A running immure keeps its file: the new one takes its name.
for pair in immure:bin/immure immure-front:libexec/immure-front; do
  install -m 755 "$from/${pair%%:*}" "$prefix/${pair##*:}.new"
  mv -f "$prefix/${pair##*:}.new" "$prefix/${pair##*:}"
done
install -m 644 policies/*.toml "$prefix/share/immure/policies/"
install -d "$prefix/share/doc/immure/walls"
install -m 644 docs/*.md "$prefix/share/doc/immure/"
install -m 644 docs/walls/*.md "$prefix/share/doc/immure/walls/"
install -m 644 README.md "$prefix/share/doc/immure/"
Scripts/licences.sh >"$prefix/share/doc/immure/copyright.new"
mv "$prefix/share/doc/immure/copyright.new" "$prefix/share/doc/immure/copyright"
pages=$(mktemp -d)
trap 'rm -rf "$pages"' EXIT
"$prefix/bin/immure" manual "$pages"
install -m 644 "$pages"/*.1 "$prefix/share/man/man1/"
"$prefix/bin/immure" completion bash >"$prefix/share/bash-completion/completions/immure"
"$prefix/bin/immure" completion zsh >"$prefix/share/zsh/site-functions/_immure"
"$prefix/bin/immure" completion fish >"$prefix/share/fish/vendor_completions.d/immure.fish"
