# Layers as tars. layer-tars.py all FILE: one with every kind of entry; layer-tars.py random COUNT FOLDER: random ones, some of which
# have to be refused; layer-tars.py stack FOLDER: three that hide and replace each other's files.
import io, random, struct, sys, tarfile

def writer(path): return tarfile.open(path, "w", format=tarfile.PAX_FORMAT)

def add(tar, name, data=None, kind=None, link="", attributes=None, **fields):
    entry = tarfile.TarInfo(name)
    if kind: entry.type = kind
    entry.linkname = link
    for key, value in fields.items(): setattr(entry, key, value)
    entry.pax_headers = {"SCHILY.xattr." + key: value for key, value in (attributes or {}).items()}
    if data is not None: entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data or b""))

FILE, DIR, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE

def everything(path):
    tar = writer(path)
    add(tar, "./", kind=DIR, mode=0o751, uid=3, gid=4, mtime=1234567890)
    add(tar, "usr", kind=DIR, mode=0o755, mtime=5)
    add(tar, "usr/bin", kind=DIR, mode=0o2755, gid=50, mtime=6)
    add(tar, "usr/bin/set", b"x" * 5000, mode=0o4755, uid=70000, gid=4000000000, mtime=1700000000.25)
    add(tar, "old", b"o", mtime=-5.5)
    add(tar, "future", b"f", mtime=5000000000)
    shared = {"user.one": "1", "user.two": "22", "user.empty": "", "trusted.x": "dropped"}
    add(tar, "attributes-a", b"hello", attributes=shared)
    add(tar, "attributes-b", b"hello again", attributes=shared)
    add(tar, "attributes-large", b"", attributes={"user.large": "v" * 3000, "user.small": "w"})
    add(tar, "capable", b"cap", mode=0o755,
        attributes={"security.capability": struct.pack("<IIIII", 0x02000001, 0x400, 0, 0, 0).decode("latin-1")})
    add(tar, "lib", kind=LINK, link="usr/lib")
    add(tar, "usr/lib", kind=DIR, mode=0o755, mtime=7)
    add(tar, "lib/inner", b"through a link")
    add(tar, "absolute", kind=LINK, link="/usr/../usr/./bin/")
    add(tar, "absolute/b", b"b")
    add(tar, "up", kind=LINK, link="../../../usr")
    add(tar, "up/at-usr", b"u")
    add(tar, "hard-1", kind=HARD, link="usr/bin/set")
    add(tar, "usr/hard-2", kind=HARD, link="lib/inner")
    add(tar, "hard-link-to-a-link", kind=HARD, link="lib")
    add(tar, "twice", b"one")
    add(tar, "kept-by-name", kind=HARD, link="twice")
    add(tar, "twice", b"two, later", mode=0o600)
    add(tar, "gone/", kind=DIR); add(tar, "gone/x", b"x"); add(tar, "gone/y/z", b"z"); add(tar, "gone", b"a file now")
    add(tar, "was-file", b"1"); add(tar, "was-file", kind=DIR, mode=0o700, mtime=8); add(tar, "was-file/in", b"2")
    add(tar, "again", kind=DIR, mode=0o700, attributes={"user.first": "1", "user.both": "a"}, mtime=1)
    add(tar, "again/stays", b"s")
    add(tar, "again", kind=DIR, mode=0o711, uid=9, attributes={"user.both": "b"}, mtime=2)
    add(tar, "character", kind=tarfile.CHRTYPE, devmajor=5, devminor=300, mode=0o620)
    add(tar, "block", kind=tarfile.BLKTYPE, devmajor=260, devminor=70000)
    add(tar, "pipe", kind=tarfile.FIFOTYPE, mode=0o644)
    add(tar, "implied/deep/er/file", b"q" * 4096)
    add(tar, "n" * 255, b"long")
    add(tar, "/".join(["d" * 200] * 6), b"deep")
    add(tar, "long-link", kind=LINK, link="t/" * 2000 + "x")
    for number in range(700): add(tar, "many/file-%d-%s" % (number, "z" * (number % 90)), b"%d" % number)
    add(tar, "empty"); add(tar, "big", bytes(range(256)) * 2000)
    for name in ("-dash", "!bang", ".hidden", "...", "..x", ".-"): add(tar, name, name.encode())
    add(tar, "usr/.wh.hidden"); add(tar, ".wh.absent"); add(tar, "opaque/.wh..wh..opq"); add(tar, "opaque/in", b"i")
    add(tar, "whiteout-of-own/in", b"w"); add(tar, ".wh.whiteout-of-own")
    tar.close()

def anything(seed, path):
    dice = random.Random(seed)
    tar = writer(path)
    names = ["a", "b", "c", "d0", "d1", "d2"]
    def place():
        parts = [dice.choice(["d0", "d1", "d2", "l0", "l1"]) for _ in range(dice.choice([0, 0, 1, 1, 2]))]
        return "".join(part + "/" for part in parts)
    def real(): return "".join(dice.choice(["d0", "d1", "d2"]) + "/" for _ in range(dice.choice([0, 1, 2])))
    made = []
    for number in range(3):
        if dice.random() < 0.9: add(tar, "d%d" % number, kind=DIR, mode=0o755)
    for number in range(2):
        if dice.random() < 0.9: add(tar, "l%d" % number, kind=LINK, link="d%d" % number)
    for _ in range(dice.randrange(2, 20)):
        what = dice.choice(["file", "file", "file", "dir", "dir", "link", "hard", "pipe", "device", "whiteout", "opaque"])
        own = dict(mode=dice.choice([0o644, 0o4755, 0, 0o7777]), uid=dice.choice([0, 1, 70000]), gid=dice.choice([0, 5]),
                   mtime=dice.choice([0, 1.5, -3, 1 << 33]))
        extra = {"user.k%d" % dice.randrange(3): "v" * dice.choice([0, 1, 600])} if dice.random() < 0.3 else {}
        if what == "file":
            data = bytes([dice.randrange(256)]) * dice.choice([0, 1, 4095, 4096, 4097, 9000])
            made.append(place() + dice.choice(names[:3] if dice.random() < 0.9 else names))
            add(tar, made[-1], data, attributes=extra, **own)
        elif what == "dir": add(tar, real() + dice.choice(names + ["l0"]), kind=DIR, attributes=extra, **own)
        elif what == "link":
            to = dice.choice(["/d0", "/d1", "../d2", ".", "..", "/d0/../d1", "/l1", "/d0/d1", "a"])
            add(tar, real() + dice.choice(["l0", "l1", "c"]), kind=LINK, link=to, **own)
        elif what == "hard": add(tar, place() + dice.choice(["h", "i", "a"]), kind=HARD,
                                link=dice.choice(made) if made and dice.random() < 0.9 else place() + "a")
        elif what == "pipe": add(tar, place() + dice.choice(names[:3]), kind=tarfile.FIFOTYPE, **own)
        elif what == "device":
            add(tar, place() + dice.choice(names[:3]), kind=tarfile.CHRTYPE, devmajor=1, devminor=dice.choice([3, 900]), **own)
        elif what == "whiteout" and dice.random() < 0.4: add(tar, place() + ".wh." + dice.choice(names + ["x", "y"]))
        elif what == "opaque" and dice.random() < 0.4: add(tar, place() + ".wh..wh..opq")
    tar.close()

def stack(folder):
    tar = writer(folder + "/1.tar")
    add(tar, ".", kind=DIR, mode=0o755, mtime=1)
    add(tar, "a", kind=DIR, mode=0o711, mtime=5, attributes={"user.lower": "1"})
    add(tar, "a/x", b"x"); add(tar, "a/y", b"y" * 9000)
    for name in "bc": add(tar, name, kind=DIR, mode=0o755); add(tar, name + "/1", name.encode())
    add(tar, "file", b"file"); add(tar, "other", b"other"); add(tar, "hard", kind=HARD, link="other")
    add(tar, "to-file/q", b"q"); add(tar, "to-dir", b"d"); add(tar, "link", kind=LINK, link="a")
    add(tar, "null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3); add(tar, "pipe", kind=tarfile.FIFOTYPE)
    tar.close()
    tar = writer(folder + "/2.tar")
    add(tar, ".", kind=DIR, mode=0o711, mtime=2)
    add(tar, "a/.wh.x"); add(tar, "a/z", b"zz"); add(tar, "a", kind=DIR, mode=0o750, mtime=9, attributes={"user.upper": "2"})
    add(tar, "b", kind=DIR, mode=0o700); add(tar, "b/.wh..wh..opq"); add(tar, "b/2", b"2")
    add(tar, ".wh.c"); add(tar, "file", b"new"); add(tar, "to-file", b"now a file")
    add(tar, "to-dir", kind=DIR, mode=0o755); add(tar, "to-dir/in", b"in"); add(tar, ".wh.nothing")
    tar.close()
    tar = writer(folder + "/3.tar")
    add(tar, ".", kind=DIR, mode=0o755, mtime=3)
    add(tar, "c", kind=DIR, mode=0o755); add(tar, "c/new", b"new")
    add(tar, "to-file", kind=DIR, mode=0o755); add(tar, "to-file/again", b"again")
    add(tar, ".wh.link"); add(tar, "one", b"h" * 100000, attributes={"user.on": "it"}); add(tar, "a/two", kind=HARD, link="one")
    tar.close()

if sys.argv[1] == "all": everything(sys.argv[2])
elif sys.argv[1] == "stack": stack(sys.argv[2])
else:
    for seed in range(int(sys.argv[2])): anything(seed, "%s/random-%d.tar" % (sys.argv[3], seed))
