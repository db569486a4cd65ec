#!/bin/busybox sh
# The first process of the lab's initramfs: loads the modules it was given, and hands over to a root that is no ramfs, for nothing can
# pivot away from one. /lab/mode says to which.
/bin/busybox mkdir -p /proc /sys /dev /new
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
stty -F /dev/ttyS1 raw -echo 115200
for module in /modules/*.ko; do insmod "$module" || echo "insmod $module failed" >/dev/ttyS1; done

if [ "$(cat /lab/mode)" != systemd ]; then
  mount -t tmpfs -o mode=755 tmpfs /new
  mkdir -p /new/proc /new/sys /new/dev /new/tmp /new/etc /new/var/lib /new/run /new/root /new/home /new/usr
  chmod 1777 /new/tmp
  cp -a /bin /lab /new/
  printf 'root:x:0:0::/root:/bin/sh\nsomeone:x:1000:1000::/home:/bin/sh\n' >/new/etc/passwd
  printf 'root:x:0:\nsomeone:x:1000:\n' >/new/etc/group
  for folder in proc sys dev; do mount -o move "/$folder" "/new/$folder"; done
  mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
  ip link set lo up
  exec switch_root /new /bin/sh /lab/checks.sh
fi

mount -t ext4 /dev/vda /new || { echo "no root on /dev/vda" >/dev/ttyS1; poweroff -f; }
cp -a /lab /new/opt/lab
mkdir -p /new/etc/systemd/system/multi-user.target.wants "/new/etc/systemd/system/user@.service.d"
cat >/new/etc/systemd/system/lab.service <<'UNIT'
[Unit]
Description=The lab's checks
After=dbus.service systemd-logind.service systemd-user-sessions.service

[Service]
Type=oneshot
Environment=HOME=/root
ExecStart=/bin/sh /opt/lab/systemd.sh
ExecStopPost=/bin/systemctl poweroff --force --no-block
StandardOutput=journal+console
StandardError=journal+console
TimeoutStartSec=infinity
UNIT
# What a distribution ships for rootless containers: every controller to a user's own manager.
printf '[Service]\nDelegate=cpu cpuset io memory pids\n' >"/new/etc/systemd/system/user@.service.d/delegate.conf"
ln -s ../lab.service /new/etc/systemd/system/multi-user.target.wants/lab.service
for folder in proc sys dev; do mount -o move "/$folder" "/new/$folder"; done
exec switch_root /new /sbin/init
