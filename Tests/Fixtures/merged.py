#!/usr/bin/env python3
"""An image whose layers' merging asks everything of a copy, as a folder in OCI image layout. Argument: the folder to make. Prints the
digests of the two topmost layers. Standard library only; its programs are busybox."""
import hashlib, io, json, os, sys, tarfile

folder, symlink, hardlink = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
capability = bytes.fromhex("0100000200200000000000000000000000000000").decode("latin-1")


class Layer:
    def __init__(self):
        self.bytes = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.bytes, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name, kind=tarfile.REGTYPE, data=b"", link="", mode=0o644, uid=0, gid=0, device=(0, 0), time=1000000000, attributes={}):
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode, info.uid, info.gid, info.mtime = kind, link, mode, uid, gid, time
        info.devmajor, info.devminor = device
        info.size = len(data)
        info.pax_headers = {"SCHILY.xattr." + key: value for key, value in attributes.items()}
        self.tar.addfile(info, io.BytesIO(data))

    def end(self):
        self.tar.close()
        return self.bytes.getvalue()


low, middle, top = Layer(), Layer(), Layer()
for name in ["bin", "dev", "proc", "sys", "etc", "root"]:
    low.add(name, folder, mode=0o755)
low.add("tmp", folder, mode=0o1777)
low.add("bin/busybox", data=open("/bin/busybox", "rb").read(), mode=0o755)
for name in "sh cat find ls id stat touch sleep getfattr wc rm chmod du dd sort md5sum mkdir echo true test printf".split():
    low.add("bin/" + name, symlink, link="busybox", mode=0o777)
low.add("etc/passwd", data=b"u:x:1000:1000::/:/bin/sh\n")
# Hidden, replaced, merged, opaque; each thing lies in a folder that says which.
for name in ["whiteout", "merged", "opaque", "opaque/in", "file-over-folder", "folder-over-file-parent", "modes", "links", "deep"]:
    low.add(name, folder, mode=0o750 if name == "merged" else 0o755, uid=3 if name == "merged" else 0)
for name in ["whiteout/gone", "whiteout/stays", "merged/low", "merged/both", "opaque/gone", "opaque/in/gone", "file-over-folder/gone"]:
    low.add(name, data=b"low " + name.encode())
low.add("whiteout/folder", folder, mode=0o755)
low.add("whiteout/folder/gone", data=b"low")
low.add("folder-over-file-parent/x", data=b"low")
middle.add("merged", folder, mode=0o711, uid=5, gid=6, time=1100000000)
middle.add("merged/middle", data=b"middle")
middle.add("merged/both", data=b"middle", mode=0o600, uid=1000, gid=1000)
middle.add("whiteout", folder, mode=0o755)
middle.add("whiteout/.wh.gone")
middle.add("whiteout/.wh.folder")
middle.add("opaque", folder, mode=0o755)
middle.add("opaque/.wh..wh..opq")
middle.add("opaque/new", data=b"middle")
middle.add(".wh.file-over-folder")
middle.add("file-over-folder", data=b"a file now")
middle.add("folder-over-file-parent", folder, mode=0o755)
middle.add("folder-over-file-parent/x", folder, mode=0o700)
middle.add("folder-over-file-parent/x/new", data=b"middle")
# What is whited out and made anew does not show what was below.
top.add("whiteout", folder, mode=0o755)
top.add("whiteout/folder", folder, mode=0o755)
top.add("whiteout/folder/new", data=b"top")
top.add("opaque", folder, mode=0o755)
top.add("opaque/in", folder, mode=0o755)
top.add("opaque/in/new", data=b"top")
top.add("merged", folder, mode=0o770, uid=7, gid=8, time=1200000000, attributes={"user.mark": "of the folder"})
top.add("merged/top", data=b"top")
top.add("modes", folder, mode=0o755)
top.add("modes/setuid", data=b"x", mode=0o4755)
top.add("modes/setgid", data=b"x", mode=0o2755, uid=1000, gid=1000)
top.add("modes/none", data=b"secret", mode=0)
top.add("modes/sticky", folder, mode=0o1777)
top.add("modes/closed", folder, mode=0)
top.add("modes/closed/in", data=b"x")
top.add("modes/attribute", data=b"x", attributes={"user.mark": "here"})
top.add("modes/capable", data=b"x", mode=0o755, attributes={"security.capability": capability})
# A program that nobody but its owner may read or run.
top.add("modes/busybox-own", data=open("/bin/busybox", "rb").read(), mode=0o700, uid=1000, gid=1000)
top.add("modes/pipe", tarfile.FIFOTYPE, mode=0o620, uid=1000, gid=5)
top.add("modes/null", tarfile.CHRTYPE, mode=0o666, device=(1, 3))
top.add("links", folder, mode=0o755)
top.add("links/first", data=b"one file", mode=0o640, gid=5)
top.add("links/second", hardlink, link="links/first")
top.add("links/in", folder, mode=0o755)
top.add("links/in/third", hardlink, link="links/first")
# Links that lead out, and a folder that was one in the layer below: nothing is to be followed.
top.add("links/out", symlink, link="/etc/passwd")
top.add("links/up", symlink, link="../../../../../../..")
low.add("links/turned", symlink, link="/tmp")
top.add("links/turned", folder, mode=0o755)
top.add("links/turned/planted", data=b"top")
middle.add("links", folder, mode=0o755)
middle.add("links/dangling", symlink, link="nowhere")
top.add("odd \\ \n name\x01", data=b"odd")
path = "deep"
for depth in range(100):
    path += "/d%d" % depth
    top.add(path, folder, mode=0o755)
top.add(path + "/end", data=b"deep")
top.add("big", data=bytes(range(256)) * 4096 * 2)

target = sys.argv[1]
os.makedirs(target + "/blobs/sha256")


def blob(data):
    digest = hashlib.sha256(data).hexdigest()
    with open(target + "/blobs/sha256/" + digest, "wb") as file:
        file.write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


# Nothing, over all: a test puts the layer below there a second time, which the kernel refuses to overlay.
over = Layer()
over.add("./", folder, mode=0o755)
tars = [low.end(), middle.end(), top.end(), over.end()]
machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
configuration = {
    "os": "linux", "architecture": machine, "config": {"Cmd": ["/bin/sh"]},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in tars]},
}
manifest = {
    "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": blob(json.dumps(configuration).encode()) | {"mediaType": "application/vnd.oci.image.config.v1+json"},
    "layers": [blob(tar) | {"mediaType": "application/vnd.oci.image.layer.v1.tar"} for tar in tars],
}
entry = blob(json.dumps(manifest).encode()) | {
    "mediaType": "application/vnd.oci.image.manifest.v1+json", "annotations": {"org.opencontainers.image.ref.name": "1"}}
with open(target + "/index.json", "w") as file:
    json.dump({"schemaVersion": 2, "manifests": [entry]}, file)
with open(target + "/oci-layout", "w") as file:
    json.dump({"imageLayoutVersion": "1.0.0"}, file)
print(*[hashlib.sha256(tar).hexdigest() for tar in tars[2:]])
