# Runs in a mount and network namespace of its own and plays the host: an uplink with a default route, behind it another namespace with
# servers at public and private addresses and a name server. A box behind a wall asks; then it serves on published ports.
#
# usage: network.sh TOOLS FOLDER USER IMMURE RUN-OPTIONS…      prints what was seen, "published" between the two
set -u
tools=$1 folder=$2 user=$3 immure=$4
shift 4
cd "$folder"
children=
trap 'for child in $children; do kill -9 "$child" 2>/dev/null; done' EXIT
own=$(readlink /proc/self/ns/net)

ip link set lo up
ip link add up0 type veth peer name up1
unshare -n sleep 150 & uplink=$!; children="$children $uplink"
while [ "$(readlink "/proc/$uplink/ns/net")" = "$own" ]; do :; done
ip link set up1 netns "$uplink"
ip addr add 10.77.0.2/24 dev up0
ip link set up0 up
ip route add default via 10.77.0.1
nsenter -n -t "$uplink" sh -c '
  ip link set lo up; ip addr add 10.77.0.1/24 dev up1; ip link set up1 up
  for address in 9.9.9.9 169.254.169.254 192.168.5.5 10.77.1.53; do ip addr add $address/32 dev lo; done'
mkfifo servers local inner
nsenter -n -t "$uplink" python3 "$tools/serve.py" servers 0.0.0.0:80 udp:10.77.1.53:53 & children="$children $!"
python3 "$tools/serve.py" local 127.0.0.1:1234 10.77.0.2:1235 & children="$children $!"
read -r _ < servers; read -r _ < local
# A reader that stays: who writes to a pipe that nobody reads is ended.
exec 8<> inner
echo 'nameserver 10.77.1.53' > resolv.conf
mount --bind resolv.conf /etc/resolv.conf
as=
if [ "$user" != 0 ]; then
  as="setpriv --reuid $user --regid $user --clear-groups --inh-caps=-all env HOME=$folder"
  mkdir devices
  mount -t tmpfs devices devices
  mkdir devices/net
  mknod -m 666 devices/net/tun c 10 200
  chmod 666 devices/net/tun
  mount --bind devices/net /dev/net
  chown "$user" .
fi

$as "$immure" --root "$folder/root" run --quiet --network user --rm "$@" -v "$tools:/tools" -- sh -c '
  python3 /tools/ask.py +tcp:9.9.9.9:80 tcp:10.77.0.1:80 tcp:10.77.0.2:1235 tcp:127.0.0.1:1234 tcp:169.254.169.254:80 \
    tcp:192.168.5.5:80 tcp:198.18.0.1:1234 tcp:198.18.0.2:1234 +udp:198.18.0.3:53 udp:10.77.1.53:53
  cat /etc/resolv.conf; ip -br -4 addr; ip route; ip link add x type veth; ip -6 route show default
  sed -n "s/^ *eth0:.*/eth0/p" /proc/net/dev' 2>&1

$as "$immure" --root "$folder/root" run --quiet --rm --name served -p 127.0.0.1:18080:8080 -p 18081:8080 -p 15353:5353/udp "$@" \
  -v "$tools:/tools" -- sh -c '
  cd /tmp && mkfifo ready && { python3 /tools/serve.py ready 0.0.0.0:8080 udp:0.0.0.0:5353 & cat ready; wait; }' > inner & box=$!
read -r _ <&8
echo published
python3 "$tools/ask.py" +tcp:127.0.0.1:18080 +tcp:10.77.0.2:18081 +udp:127.0.0.1:15353 +big:127.0.0.1:18080
nsenter -n -t "$uplink" python3 "$tools/ask.py" +tcp:10.77.0.2:18081 tcp:10.77.0.2:18080
$as "$immure" --root "$folder/root" rm -f served
wait "$box"
echo "ended $?"
