# A line for each file below a folder: path, mode, owner, time, what it holds, attributes. Read by the tests of images.
# tree-lines.py all|loose FOLDER…: "loose" leaves out what two ways of unpacking a layer may differ in. A line "==" ends each folder.
import hashlib, os, stat, sys

loose = sys.argv[1] == "loose"
lines = []

def say(path, name):
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    whiteout = kind == stat.S_IFCHR and status.st_rdev == 0
    time = "%d.%d" % (status.st_mtime_ns // 10**9, status.st_mtime_ns % 10**9)
    if loose and (kind == stat.S_IFDIR or whiteout): time = "-"
    line = "%s|%o|%d|%d|%s" % (name.decode("utf-8", "replace"), status.st_mode, status.st_uid, status.st_gid, time)
    if kind == stat.S_IFLNK: line += "|" + os.readlink(path).decode()
    elif kind != stat.S_IFDIR: line += "|%d" % status.st_nlink
    if kind in (stat.S_IFCHR, stat.S_IFBLK): line += "|%d,%d" % (os.major(status.st_rdev), os.minor(status.st_rdev))
    if kind == stat.S_IFREG:
        line += "|%d" % status.st_size
        if status.st_size < 1 << 24:
            with open(path, "rb") as file: line += "|sha256:" + hashlib.sha256(file.read()).hexdigest()
    for attribute in sorted(os.listxattr(path, follow_symlinks=False)):
        if loose and attribute == "user.overlay.opaque": continue
        value = os.getxattr(path, attribute, follow_symlinks=False)
        line += "|%s=%s" % (attribute, value.hex())
    lines.append(line)
    if kind == stat.S_IFDIR:
        for inner in os.listdir(path): say(os.path.join(path, inner), name + b"/" + inner)

sys.stdout.reconfigure(encoding="utf-8", errors="replace")
for folder in sys.argv[2:]:
    lines = []
    say(os.fsencode(folder), b"")
    for line in sorted(lines): print(line)
    print("==")
