# dpkg installs and purges a package with a conffile and a script; apt takes it from a repository of files.
export SOURCE_DATE_EPOCH=1600000000 DEBIAN_FRONTEND=noninteractive
cd /tmp && mkdir -p k/DEBIAN k/usr/share/workload k/etc
printf 'Package: workload\nVersion: 1.0\nArchitecture: all\nMaintainer: N <n@x>\nDescription: d\n' >k/DEBIAN/control
printf '#!/bin/sh\necho configured $1\n' >k/DEBIAN/postinst; chmod 755 k/DEBIAN/postinst
echo /etc/workload.conf >k/DEBIAN/conffiles
echo data >k/usr/share/workload/f; echo c >k/etc/workload.conf
dpkg-deb --root-owner-group -b k a.deb; dpkg-deb -I a.deb | grep Package; dpkg-deb -c a.deb | awk '{print $1,$2,$6}'
mkdir -p /var/cache/apt/archives/partial /var/lib/dpkg; touch /var/lib/dpkg/status
dpkg -i a.deb; echo $?
dpkg -s workload | grep Status; cat /usr/share/workload/f; echo changed >>/etc/workload.conf
dpkg -r workload; cat /etc/workload.conf; dpkg -P workload; echo $?; ls /usr/share/workload /etc/workload.conf

mkdir repo; cp a.deb repo; cd repo
{ dpkg-deb -f a.deb; echo Filename: ./a.deb; echo Size: $(stat -c %s a.deb); echo SHA256: $(sha256sum a.deb | cut -d' ' -f1); } >Packages
gzip -k Packages
printf 'Date: %s\nSHA256:\n' "$(date -uR -d @1600000000 | sed s/+0000/UTC/)" >Release
for f in Packages Packages.gz; do echo " $(sha256sum $f | cut -d' ' -f1) $(stat -c %s $f) $f"; done >>Release
echo "deb [trusted=yes] file:/tmp/repo ./" >/tmp/src.list
apt() { apt-get -q -o Dir::Etc::sourcelist=/tmp/src.list -o Dir::Etc::sourceparts=- "$@" </dev/null; echo "status $?"; }
apt update
apt install -y workload; cat /usr/share/workload/f
apt-cache -o Dir::Etc::sourcelist=/tmp/src.list -o Dir::Etc::sourceparts=- policy workload | head -3
apt purge -y workload | grep -v 'while removing'; dpkg -l | wc -l
