#!/bin/bash
# Runs an unpacked tar.gz of immure in a root that has busybox and musl and nothing else, as root and as another user:
# test-dist.sh TAR. Prints a line for each thing that was tried; ends with 1 at the first that fails. Needs root.
set -euo pipefail
tar=$(realpath "$1")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
mkdir -p "$root"/{bin,lib,etc,proc,sys,dev,tmp,old,opt,home/user,var,root,run,usr/bin}
chmod 1777 "$root/tmp"
chown 1000:1000 "$root/home/user"
cp /bin/busybox "$root/bin/busybox"
if readelf -l "$root/bin/busybox" | grep -q INTERP; then
  echo "test-dist.sh: /bin/busybox is not static: apt-get install busybox-static" >&2
  exit 1
fi
for name in sh tar gzip id ls cat mount umount true cp env su mkdir grep; do ln -s busybox "$root/bin/$name"; done
# A program that needs musl's loader: the only loader in this root.
cp -L /lib/ld-musl-*.so.1 "$root/lib/"
printf '#include <stdio.h>\nint main(void) { puts("musl runs"); return 0; }\n' >"$root/tmp/hello.c"
musl-gcc -O1 -o "$root/usr/bin/hello" "$root/tmp/hello.c"
rm "$root/tmp/hello.c"
printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nuser:x:1000:\n' >"$root/etc/group"
cp "$tar" "$root/tmp/immure.tar.gz"
# An image of the same programs, for import.
tar -C "$root" -cf "$root/tmp/image.tar" bin lib etc usr

cat >"$root/tmp/try.sh" <<'TRY'
# In the new root, under busybox: $1 is whose turn it is.
set -eu
say() { echo "$who: $*"; }
who=$1
export HOME=$2
immure=/opt/immure/bin/immure
state=$HOME/state
[ "$($immure version)" = "$($immure --version)" ] || { echo "$who: version" >&2; exit 1; }
say "$($immure version)"
$immure --root "$state" doctor >"$HOME/doctor" || { cat "$HOME/doctor"; exit 1; }
grep -q 'immure-front: /opt/immure/libexec/immure-front' "$HOME/doctor" || { cat "$HOME/doctor"; exit 1; }
say "doctor finds $(grep -E ': ready' "$HOME/doctor" | tr -d '\n')"
$immure --root "$state" run --rm -- /bin/true
say "run -- /bin/true"
[ "$($immure --root "$state" run --rm -- /usr/bin/hello)" = "musl runs" ]
say "run -- hello (musl)"
$immure --root "$state" import --quiet --cmd hello /tmp/image.tar little >/dev/null
[ "$($immure --root "$state" run --rm little)" = "musl runs" ]
say "import, run little"
$immure --root "$state" images | grep -q little
$immure --root "$state" rm -f --all
$immure --root "$state" rmi little >/dev/null
say "images, rm, rmi"
TRY
ln -s busybox "$root/bin/tr"

# pivot_root and not chroot: the kernel refuses user namespaces to a process whose root is not its mount namespace's.
unshare --mount --pid --fork --propagation private /bin/bash -euo pipefail -c '
  root=$1
  mount --bind "$root" "$root"
  mount --rbind /dev "$root/dev"
  mount --rbind /sys "$root/sys"
  mount -t proc proc "$root/proc"
  cd "$root"
  pivot_root . old
  exec /bin/busybox sh -euc "
    umount -l /old
    if ls /usr/lib/swift /lib/x86_64-linux-gnu /lib64 2>/dev/null; then echo \"this root has a glibc or Swift\" >&2; exit 1; fi
    mkdir -p /opt/immure
    tar -xzf /tmp/immure.tar.gz -C /opt/immure
    cp -a /opt/immure/immure-*/. /opt/immure/
    sh /tmp/try.sh root /root
    su -s /bin/sh user -c \"sh /tmp/try.sh user /home/user\"
  "
' try "$root" </dev/null
