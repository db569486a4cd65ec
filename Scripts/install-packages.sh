#!/bin/bash
# Installs the Debian packages that a task needs and that are missing, by name: install-packages.sh build|test|workloads|demo|dist …
# Says nothing where all are there. Needs root or sudo only where one is missing.
set -euo pipefail

build=(make git ca-certificates binutils libc6-dev libstdc++-12-dev zlib1g-dev libzstd-dev libssl-dev)
# What the tests hold immure against, and what serves them: registries, other runtimes, a static root, namespaces' tools.
test=(busybox-static musl-tools python3 curl openssl strace procps util-linux bsdutils iproute2 iptables attr libcap2-bin
  uidmap passt slirp4netns bubblewrap crun runc skopeo podman conmon catatonit groff-base umoci docker-registry apache2-utils mmdebstrap libseccomp-dev
  containerd docker.io buildah libpython3.11-testsuite zsh fish erofs-utils qemu-system-x86
  gcc g++ gdb nodejs redis-tools nginx-light python3-numpy)
# Large programs that only `make test-all` holds against the host's run of them.
workloads=(golang-go python3-venv rustc default-jdk-headless postgresql sqlite3 tcl chromium)
demo=(mmdebstrap python3 iproute2 uidmap passt slirp4netns)
bench=(bubblewrap busybox-static crun runc podman skopeo umoci containerd docker-registry isal zstd mmdebstrap libseccomp-dev python3-seccomp gcc python3 uidmap redis-server redis-tools)
dist=(dpkg gzip tar)
# What Scripts/isal.sh builds a static ISA-L with.
isal=(libisal-dev nasm gcc make xz-utils)
# What boots Debian's kernels, and makes the roots for them.
kernels=(qemu-system-x86 mmdebstrap e2fsprogs busybox-static python3)

wanted=("${build[@]}")
for task in "$@"; do
  case $task in
    build) ;;
    test) wanted+=("${test[@]}") ;;
    workloads) wanted+=("${workloads[@]}") ;;
    demo) wanted+=("${demo[@]}") ;;
    bench) wanted+=("${bench[@]}") ;;
    dist) wanted+=("${dist[@]}") ;;
    kernels) wanted+=("${kernels[@]}") ;;
    isal) wanted+=("${isal[@]}") ;;
    *) echo "install-packages.sh: \"$task\" is not a task: build, test, workloads, demo, bench, dist, kernels" >&2; exit 2 ;;
  esac
done

command -v dpkg-query >/dev/null || { echo "install-packages.sh: not a Debian system; needed are: ${wanted[*]}" >&2; exit 1; }
missing=()
for package in "${wanted[@]}"; do
  # A library's package may be installed for more than one architecture; one of them is enough.
  dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "installing: ${missing[*]}" >&2
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install-packages.sh: run as root: apt-get install ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
}
# The lists of a fresh machine are empty or old; those of one that was just set up are not fetched again.
install 2>/dev/null || { "${as_root[@]}" apt-get update -q >&2 && install; }
