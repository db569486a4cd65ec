#!/bin/bash
# The names that immure answers to, as links beside it: link-names.sh FOLDER. The name chooses the verbs (immure-oci) or the wall.
set -euo pipefail
for name in immure-oci immure-container immure-jail; do ln -sfn immure "$1/$name"; done
