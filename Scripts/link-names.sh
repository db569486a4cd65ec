#!/bin/bash
# The names that the OCI runtime is called by, as links beside it: link-names.sh FOLDER.
set -euo pipefail
for name in immure-oci immure-container immure-jail immure-sentry; do ln -sfn immure "$1/$name"; done
