# Runs in a mount and network namespace of its own and plays the host: an uplink with a default route, behind it another
# namespace with servers at public and private addresses and a name server, and a box. Reads commands for the box's side from
# the test's arguments; prints what was seen.
#
# usage: rig.sh PROBE FOLDER USER MODE [private] [PORTS…]
set -u
probe=$1 folder=$2 user=$3 mode=$4
shift 4
cd "$folder"
children=
finish() {
  exec 9>&-
  wait "${network:-}" 2>/dev/null
  for child in $children; do kill -9 "$child" 2>/dev/null; done
}
trap finish EXIT
# Ends the network as its owner would, and names the processes of it that are left.
stop_network() {
  exec 9>&-
  wait "$network"
  sed -n 's/^network\.[a-z]*=\([0-9]*\) .*/\1/p' report | while read -r pid; do
    grep -q "^State:.[^ZX]" "/proc/$pid/status" 2>/dev/null && echo "left=$pid"
  done
  echo "stopped=$(grep -c '^stopped$' report)"
}
own=$(readlink /proc/self/ns/net)
wait_for_namespace() { while [ "$(readlink "/proc/$1/ns/net")" = "$own" ]; do :; done; }

ip link set lo up
ip link add up0 type veth peer name up1
unshare -n sleep 150 & uplink=$!; children="$children $uplink"
wait_for_namespace "$uplink"
ip link set up1 netns "$uplink"
ip addr add 10.77.0.2/24 dev up0
ip link set up0 up
[ "$mode" = no-route ] || ip route add default via 10.77.0.1
nsenter -n -t "$uplink" sh -c '
  ip link set lo up; ip addr add 10.77.0.1/24 dev up1; ip link set up1 up
  for address in 9.9.9.9 169.254.169.254 192.168.5.5 172.16.3.3 100.64.0.9 10.77.1.53; do ip addr add $address/32 dev lo; done'
mkfifo servers local
nsenter -n -t "$uplink" python3 "$SERVE" servers 0.0.0.0:80 udp:10.77.1.53:53 & children="$children $!"
python3 "$SERVE" local 127.0.0.1:1234 10.77.0.2:1235 & children="$children $!"
read -r _ < servers; read -r _ < local
echo 'nameserver 10.77.1.53' > resolv.conf
mount --bind resolv.conf /etc/resolv.conf

as=
tun_mode=666
case $mode in
  no-pasta) mount --bind /dev/null /usr/bin/passt ;;
  no-helper) mount --bind /dev/null /usr/bin/passt; mount --bind /dev/null /usr/bin/slirp4netns ;;
  tun-0600) tun_mode=600 ;;
  hanging) printf '#!/bin/sh\nexec sleep 60\n' > hang; chmod 755 hang; mount --bind hang /usr/bin/passt ;;
esac
mkdir box
if [ "$user" != 0 ]; then
  as="setpriv --reuid $user --regid $user --clear-groups"
  mkdir devices
  mount -t tmpfs devices devices
  mkdir devices/net
  [ "$mode" = no-tun ] || mknod -m "$tun_mode" devices/net/tun c 10 200
  chmod "$tun_mode" devices/net/tun 2>/dev/null
  mount --bind devices/net /dev/net
  chown "$user" box
fi
$as unshare -U -r -n sleep 150 & box=$!; children="$children $box"
wait_for_namespace "$box"

mkfifo hold
: > report
$as "$probe" start "$box" "$folder/box" "$@" < hold > report 2>&1 & network=$!
exec 9> hold
while ! grep -q '^ready$' report; do kill -0 "$network" 2>/dev/null || break; done
cat report
grep -q '^ready$' report || exit 0

private=; [ "${1:-}" = private ] && private=+
nsenter -n -t "$box" python3 "$ASK" \
  +tcp:9.9.9.9:80 ${private}tcp:10.77.0.1:80 tcp:10.77.0.2:1235 tcp:127.0.0.1:1234 tcp:169.254.169.254:80 \
  ${private}tcp:192.168.5.5:80 ${private}tcp:172.16.3.3:80 ${private}tcp:100.64.0.9:80 tcp:198.18.0.1:1234 \
  tcp:198.18.0.2:1234 +udp:198.18.0.3:53 udp:10.77.1.53:53 device:10.77.0.1:80 device:169.254.169.254:80 \
  device:10.77.0.2:1235 frame:10.77.0.1:80 +frame:9.9.9.9:80

if [ $# -gt 0 ] && [ "$1" != private ]; then
  mkfifo inner
  nsenter -n -t "$box" python3 "$SERVE" inner 0.0.0.0:8080 udp:0.0.0.0:5353 9>&- & children="$children $!"
  read -r _ < inner
  echo published
  python3 "$ASK" +tcp:127.0.0.1:18080 +tcp:10.77.0.2:18081 +udp:127.0.0.1:15353 +big:127.0.0.1:18080
  nsenter -n -t "$uplink" python3 "$ASK" +tcp:10.77.0.2:18081 tcp:10.77.0.2:18080
fi
stop_network
