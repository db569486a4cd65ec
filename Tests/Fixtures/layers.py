#!/usr/bin/env python3
"""Layers that no honest tool writes. Arguments: which, the file to write. Standard library only."""
import gzip, io, sys, tarfile

which, target = sys.argv[1:3]
out = io.BytesIO()
tar = tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT)


def add(name, kind=tarfile.REGTYPE, data=b"", link="", mode=0o644, uid=0, gid=0, device=(0, 0), **attributes):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.uid, info.gid = kind, link, mode, uid, gid
    info.devmajor, info.devminor = device
    info.size = len(data)
    info.pax_headers = {"SCHILY.xattr." + key: value for key, value in attributes.items()}
    tar.addfile(info, io.BytesIO(data))


def raw(name, size=0, mtime=0):
    """A header with numbers that TarFile refuses to write, in base 256."""
    info = tarfile.TarInfo(name)
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    for start, number in (124, size), (136, mtime):
        wide = number.to_bytes(12, "big", signed=True)
        block[start:start + 12] = bytes([wide[0] & 0x7F | 0x80 if number >= 0 else 0xFF]) + wide[1:]
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    out.write(block)


folder, symlink, hardlink = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
outside = sys.argv[3] if len(sys.argv) > 3 else "/tmp"
if which == "absolute":
    add(outside + "/planted", data=b"x")
elif which == "dotdot":
    add("a/../../../../../../../../" + outside + "/planted", data=b"x")
elif which == "symlink-absolute":
    add("door", symlink, link=outside)
    add("door/planted", data=b"x")
elif which == "symlink-relative":
    add("door", symlink, link="../../../../../../../../.." + outside)
    add("door/planted", data=b"x")
elif which == "symlink-chain":
    add("a", symlink, link="b")
    add("b", symlink, link="c/..")
    add("c", symlink, link=outside)
    add("a/planted", data=b"x")
elif which == "symlink-loop":
    add("a", symlink, link="b")
    add("b", symlink, link="a")
    add("a/planted", data=b"x")
elif which == "symlink-replaced":
    add("f", symlink, link=outside + "/victim")
    add("f", data=b"overwritten")
elif which == "hardlink-outside":
    add("f", hardlink, link=outside + "/victim")
elif which == "hardlink-dotdot":
    add("f", hardlink, link="../../../../../../../../" + outside + "/victim")
elif which == "hardlink-through-symlink":
    add("door", symlink, link=outside)
    add("f", hardlink, link="door/victim")
    add("f", data=b"overwritten")
elif which == "hardlink-then-write":
    add("s", symlink, link=outside + "/victim")
    add("h", hardlink, link="s")
    add("h", data=b"overwritten")
elif which == "root-is-symlink":
    add(".", symlink, link=outside)
elif which == "root-is-file":
    add("./", data=b"")
    add("/", symlink, link=outside)
elif which == "whiteout-root":
    add(".wh...")
elif which == "whiteout-dots":
    add(".wh...", data=b"")
elif which == "whiteout-outside":
    add("door", symlink, link=outside)
    add("door/.wh.victim")
elif which == "opaque-outside":
    add("door", symlink, link=outside)
    add("door/.wh..wh..opq")
elif which == "whiteout-device":
    add("w", tarfile.CHRTYPE, device=(0, 0))
elif which == "overlay-attribute":
    add("d", folder, **{"trusted.overlay.redirect": "/etc"})
elif which == "owner":
    add("f", uid=2**32 - 1)
elif which == "owner-negative":
    add("f", uid=-5)
elif which == "size-negative":
    raw("f", size=-1)
elif which == "size-huge":
    raw("f", size=2**62)
elif which == "parent-is-file":
    add("p", data=b"a file")
    add("p/inner", data=b"x")
elif which == "parent-is-device":
    add("p", tarfile.CHRTYPE, device=(1, 3))
    add("p/inner", data=b"x")
elif which == "times":
    for name, time in ("old", -(2**33)), ("far", 2**40), ("epoch", 0):
        raw(name, mtime=time)
elif which == "time-huge":
    raw("f", mtime=2**80)
elif which == "name-huge":
    out.close()
    block = tarfile.TarInfo("././@LongLink")
    block.type, block.size = tarfile.GNUTYPE_LONGNAME, 2**30
    with gzip.open(target, "wb", compresslevel=1) as file:
        file.write(block.tobuf(tarfile.GNU_FORMAT))
        for _ in range(1024):
            file.write(b"n" * (1 << 20))
    sys.exit(0)
elif which == "bomb":
    out.close()
    block = tarfile.TarInfo("zeros")
    block.size = 20 << 26
    piece = gzip.compress(bytes(1 << 26), 9)
    with open(target, "wb") as file:
        file.write(gzip.compress(block.tobuf()) + piece * 20 + gzip.compress(bytes(1024)))
    sys.exit(0)
elif which == "cut":
    add("f", data=b"x" * 10000)
    tar.close()
    open(target, "wb").write(gzip.compress(out.getvalue())[:-40])
    sys.exit(0)
elif which == "garbage":
    open(target, "wb").write(b"\x1f\x8b\x08\x00" + bytes(range(256)) * 64)
    sys.exit(0)
elif which == "nothing":
    open(target, "wb").write(b"")
    sys.exit(0)
elif which == "deep":
    for depth in range(1, 60):
        add("/".join(["d" * 30] * depth), folder)
    add("/".join(["d" * 30] * 60) + "/f", data=b"x")
elif which == "duplicates":
    add("x", folder, mode=0o700)
    add("x/inner", data=b"gone")
    add("x", data=b"file now")
    add("x", folder, mode=0o711)
    add("x/second", data=b"kept")
    add("y", data=b"one")
    add("y", data=b"two")
elif which == "whiteouts":
    # Whatever the order: they hide lower layers, never what this layer has.
    add("same", data=b"kept")
    add(".wh.same")
    add(".wh.later", data=b"")
    add("later/inner", data=b"kept")
    add("o/.wh..wh..opq")
    add("o/mine", data=b"kept")
    add("p/.wh.gone")
elif which == "kinds":
    add("ro", folder, mode=0o555, uid=33, gid=33)
    add("ro/secret", data=b"hello", mode=0, uid=33, gid=33)
    add("su", data=b"x", mode=0o4755)
    add("hard", hardlink, link="su")
    add("fifo", tarfile.FIFOTYPE, mode=0o600)
    add("null", tarfile.CHRTYPE, mode=0o666, device=(1, 3))
    add("n" * 200 + "/" + "m" * 200, data=b"long")
    add("attributed", data=b"y", **{"user.note": "here", "trusted.x": "no"})
else:
    sys.exit("no such layer: " + which)
tar.close()
with open(target, "wb") as file:
    file.write(out.getvalue())
