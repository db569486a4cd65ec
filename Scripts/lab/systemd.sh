#!/bin/sh
# The lab's checks where systemd is PID 1: everything of checks.sh, the systemd driver, a user's own manager, and podman. Run by
# lab.service.
lab=/opt/lab
. $lab/checks.sh
export HOME=/root
mkdir -p /opt/lab/run
cd /
stty -F $port raw -echo
machine_facts
fact systemd "$(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')"

container_checks "container wall, root" root
jail_checks "jail wall, root" root
driver= at=/lab/box
oci_checks "OCI runtime, root"

# What the user's manager makes: everything below runs as that user, in a scope with control groups of its own.
systemctl start user@1000.service
chmod 666 $port
as_user() {
  setpriv --reuid 1000 --regid 1000 --init-groups env HOME=/home/someone XDG_RUNTIME_DIR=/run/user/1000 \
    DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus "$@"
}
in_scope() { as_user systemd-run --user --scope --quiet -p Delegate=yes "$@"; }
in_scope sh $lab/checks.sh user || fact trouble "the user's checks: $?"
say end
