import Formats
import Testing

/// A member as a test compares it: what the reader yielded and the whole contents, holes filled with zeros.
private struct Member: Equatable {
  var entry: TarEntry
  var contents: [UInt8]
}

private func read(_ archive: [UInt8], chunk: Int = 4096, limits: TarLimits = TarLimits()) throws -> [Member] {
  var reader = TarReader(limits: limits)
  var members: [Member] = []
  var start = 0
  while start < archive.count {
    let piece = Array(archive[start..<min(start + chunk, archive.count)])
    var position = 0
    loop: while true {
      switch try reader.next(piece.span, at: &position) {
      case .entry(let entry):
        members.append(Member(entry: entry, contents: [UInt8](repeating: 0, count: Int(entry.size))))
      case .data(let offset, let range):
        members[members.count - 1].contents.replaceSubrange(Int(offset)..<Int(offset) + range.count, with: piece[range])
      case .end, .needsInput: if position == piece.count { break loop }
      }
    }
    start += piece.count
  }
  try reader.finish()
  return members
}

/// The header block that `TarWriter` makes, changed and with its checksum put right.
private func header(_ entry: TarEntry, _ change: (inout [UInt8]) -> Void = { _ in }) throws -> [UInt8] {
  var bytes = try TarWriter.header(for: entry)
  var block = Array(bytes.suffix(512))
  change(&block)
  for index in 148..<156 { block[index] = 0x20 }
  let digits = String(block.reduce(0) { $0 + Int($1) }, radix: 8)
  for (index, byte) in (String(repeating: "0", count: 6 - digits.count) + digits).utf8.enumerated() {
    block[148 + index] = byte
  }
  block[154] = 0
  bytes.replaceSubrange(bytes.count - 512..<bytes.count, with: block)
  return bytes
}

private func pax(_ flag: UInt8 = UInt8(ascii: "x"), _ body: String) throws -> [UInt8] {
  var entry = TarEntry(kind: .file, path: Array("PaxHeaders/x".utf8))
  entry.size = Int64(body.utf8.count)
  return try header(entry) { $0[156] = flag } + Array(body.utf8) + TarWriter.padding(after: entry.size)
}

private func record(_ key: String, _ value: String) -> String {
  var length = key.utf8.count + value.utf8.count + 3
  while String(length).utf8.count + key.utf8.count + value.utf8.count + 3 != length { length += 1 }
  return "\(length) \(key)=\(value)\n"
}

private func file(_ path: String, size: Int64 = 0) -> TarEntry {
  var entry = TarEntry(kind: .file, path: Array(path.utf8))
  entry.size = size
  return entry
}

@Suite struct TarTests {
  /// Python's tarfile in its three formats and GNU tar with its four ways to store holes; the members as Python (or, for
  /// GNU tar, the script that made the files) knows them.
  private static let maker = """
    import sys, json, tarfile, io, os, subprocess, tempfile, hashlib
    def describe(t, m):
      data = t.extractfile(m).read() if m.isreg() else b""
      kinds = {tarfile.LNKTYPE: "hardLink", tarfile.SYMTYPE: "symbolicLink", tarfile.CHRTYPE: "characterDevice",
        tarfile.BLKTYPE: "blockDevice", tarfile.DIRTYPE: "directory", tarfile.FIFOTYPE: "fifo"}
      enc = lambda s: s.encode("utf-8", "surrogateescape").hex()
      dev = m.ischr() or m.isblk()
      return dict(kind=kinds.get(m.type, "file"), path=enc(m.name.rstrip("/")), link=enc(m.linkname if m.islnk() or m.issym() else ""),
        mode=m.mode & 0o7777, uid=m.uid, gid=m.gid, size=len(data), mtime=m.mtime,
        major=m.devmajor if dev else 0, minor=m.devminor if dev else 0, sha256=hashlib.sha256(data).hexdigest(),
        xattrs={k[13:]: enc(v) for k, v in m.pax_headers.items() if k.startswith("SCHILY.xattr.")})
    out = []
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
      f = io.BytesIO()
      t = tarfile.open(fileobj=f, mode="w", format=form, encoding="utf-8", errors="surrogateescape",
        pax_headers={"comment": "g", "gname": "g"} if form == tarfile.PAX_FORMAT else None)
      def add(name, data=b"", **k):
        m = tarfile.TarInfo(name); m.size = len(data); m.mtime = 1700000000
        for key, value in k.items(): setattr(m, key, value)
        try: t.addfile(m, io.BytesIO(data))
        except ValueError:
          assert form == tarfile.USTAR_FORMAT
      add("./", type=tarfile.DIRTYPE, mode=0o755)
      add("plain", b"hello", mode=0o4755, uid=1000, gid=2000)
      add("dir/", type=tarfile.DIRTYPE, mode=0o1777)
      add("dir/empty")
      add("block", b"x" * 512)
      add("two", b"y" * 1025)
      add("contiguous", b"z" * 3, type=tarfile.CONTTYPE)
      add("hard", type=tarfile.LNKTYPE, linkname="plain")
      add("soft", type=tarfile.SYMTYPE, linkname="../../etc/passwd")
      add("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666)
      add("disk", type=tarfile.BLKTYPE, devmajor=259, devminor=65537)
      add("pipe", type=tarfile.FIFOTYPE)
      add("p" * 60 + "/" + "q" * 90, b"prefix")
      add("long/" + "n" * 200 + "/" + "m" * 240, b"long")
      add("longlink", type=tarfile.SYMTYPE, linkname="l" * 300)
      add("umlaut-\\u00e9", b"u")
      add("raw-\\udcff\\udcfe", b"r")
      add("bigids", uid=3000000, gid=4294967294)
      add("past", mtime=-86400)
      add("now", mtime=1700000000.25)
      add("before", mtime=-1.5)
      if form == tarfile.PAX_FORMAT:
        add("attributes", b"a", pax_headers={"SCHILY.xattr.user.one": "1", "SCHILY.xattr.user.two=": "x=\\ny"})
        add("times", pax_headers={"mtime": "1700000000.123456789", "comment": "c"})
      t.close()
      data = f.getvalue()
      members = [describe(r, m) for r in [tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape")] for m in r]
      out.append(dict(name="python %d" % form, archive=data.hex(), members=members))
    with tempfile.TemporaryDirectory() as d:
      path = d + "/sparse"
      with open(path, "wb") as f:
        for i in range(40):
          f.seek(i * 16384); f.write(bytes([i + 1]) * 4096)
        f.truncate(40 * 16384 + 100000)
      with open(path, "rb") as f: content = f.read()
      with open(d + "/after", "wb") as f: f.write(b"after")
      for args in (["--format=gnu"], ["--format=posix", "--sparse-version=0.0"], ["--format=posix", "--sparse-version=0.1"],
          ["--format=posix", "--sparse-version=1.0"], ["--format=v7"], ["--format=oldgnu"], ["--format=ustar"]):
        sparse = [] if "v7" in args[0] or "ustar" in args[0] else ["--sparse"]
        data = subprocess.run(["tar", "-C", d, "-cf", "-", "--sort=name", "--owner=7", "--group=8", "--mode=0640",
          "--mtime=@1700000000"] + sparse + args + ["after", "sparse"], stdout=subprocess.PIPE, check=True).stdout
        members = [dict(kind="file", path=n.encode().hex(), link="", mode=0o640, uid=7, gid=8, size=len(c), mtime=1700000000,
          major=0, minor=0, sha256=hashlib.sha256(c).hexdigest(), xattrs={}) for n, c in (("after", b"after"), ("sparse", content))]
        out.append(dict(name="tar " + " ".join(args), archive=data.hex(), members=members))
    json.dump(out, sys.stdout)
    """

  @Test(.enabled(if: Python.isAvailable, "python3 is the oracle")) func agreesWithPythonAndGNUTar() throws {
    let cases = try JSONNode.parse(try Python.run(Self.maker, input: []), source: "oracle").elements()
    #expect(cases.count == 10)
    // GNU tar did find the holes.
    for node in cases where try node.string("name") == "tar --format=gnu" {
      #expect(try node.string("archive").utf8.count / 2 < 300_000)
    }
    for node in cases {
      let name = try node.string("name")
      let archive = unhex(try node.string("archive"))
      for chunk in name.hasPrefix("python") ? [1, 7, 511, 512, 513, 1 << 20] : [509, 4096, 1 << 22] {
        let members = try read(archive, chunk: chunk)
        let expected = try node.array("members")
        try #require(members.count == expected.count, "\(name)")
        for (ours, theirs) in zip(members, expected) {
          let entry = ours.entry
          var path = entry.path
          while path.last == UInt8(ascii: "/") { path.removeLast() }
          let expectedPath = unhex(try theirs.string("path"))
          let label = Comment(rawValue: "\(name), \(String(decoding: path, as: UTF8.self)), chunk \(chunk)")
          #expect(path == expectedPath, label)
          #expect("\(entry.kind)" == (try theirs.string("kind")), label)
          #expect(entry.linkTarget == unhex(try theirs.string("link")), label)
          #expect(Int(entry.mode) == (try theirs.int("mode")), label)
          #expect(Int(entry.uid) == (try theirs.int("uid")), label)
          #expect(Int(entry.gid) == (try theirs.int("gid")), label)
          #expect(Int(entry.size) == (try theirs.int("size")), label)
          #expect(Int(entry.deviceMajor) == (try theirs.int("major")), label)
          #expect(Int(entry.deviceMinor) == (try theirs.int("minor")), label)
          #expect(Digest.of(ours.contents).hex == (try theirs.string("sha256")), label)
          let time = Double(entry.modified) + Double(entry.modifiedNanoseconds) / 1e9
          #expect(abs(time - (try theirs.double("mtime"))) < 1e-6, label)
          var attributes: [String: [UInt8]] = [:]
          for attribute in entry.attributes {
            attributes[String(decoding: attribute.name, as: UTF8.self)] = attribute.value
          }
          var theirAttributes: [String: [UInt8]] = [:]
          for (key, value) in try theirs.required("xattrs").stringMap() { theirAttributes[key] = unhex(value) }
          // Python splits a record at its first "="; the name that has one is compared apart.
          #expect(attributes == theirAttributes, label)
        }
      }
    }
  }

  /// What is written, Python reads; and this reader gives back the entries themselves.
  @Test(.enabled(if: Python.isAvailable, "python3 is the oracle")) func pythonReadsWhatIsWritten() throws {
    var entries: [Member] = []
    func add(
      _ kind: TarEntry.Kind, _ path: String, _ contents: String = "", _ change: (inout TarEntry) -> Void = { _ in }
    ) {
      var entry = TarEntry(kind: kind, path: Array(path.utf8))
      entry.size = Int64(contents.utf8.count)
      entry.modified = 1_700_000_000
      change(&entry)
      entries.append(Member(entry: entry, contents: Array(contents.utf8)))
    }
    add(.directory, "dir/") { $0.mode = 0o1777 }
    add(.file, "plain", "hello") { $0.mode = 0o4755 }
    add(.file, String(repeating: "p", count: 60) + "/" + String(repeating: "q", count: 90), "x")
    add(.file, String(repeating: "p", count: 200) + "/" + String(repeating: "q", count: 200), "y")
    add(.file, String(repeating: "a/", count: 127) + "b", "z")
    add(.file, "é")
    add(.symbolicLink, "soft") { $0.linkTarget = Array(String(repeating: "l", count: 300).utf8) }
    add(.hardLink, "hard") { $0.linkTarget = Array("plain".utf8) }
    add(.characterDevice, "null") { ($0.deviceMajor, $0.deviceMinor) = (1, 3) }
    add(.blockDevice, "disk") { ($0.deviceMajor, $0.deviceMinor) = (259, 1_048_575) }
    add(.fifo, "pipe")
    add(.file, "ids") { ($0.uid, $0.gid) = (4_000_000_000, 2_097_152) }
    add(.file, "time") { ($0.modified, $0.modifiedNanoseconds) = (-2, 500_000_000) }
    add(.file, "nano") { $0.modifiedNanoseconds = 1 }
    add(.file, "attributes") { $0.attributes = [.init(name: Array("user.x".utf8), value: [0, 10, 61, 255])] }
    var archive: [UInt8] = []
    for member in entries {
      archive += try TarWriter.header(for: member.entry) + member.contents + TarWriter.padding(after: member.entry.size)
    }
    archive += TarWriter.end
    #expect(try read(archive) == entries)

    let script = """
      import sys, tarfile, io, hashlib
      for m in tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read()), encoding="utf-8", errors="surrogateescape"):
        print(m.name.encode().hex(), m.linkname.encode().hex() or "-", m.mode, m.uid, m.gid, m.size, m.devmajor, m.devminor,
          int(m.mtime * 4), m.type.decode())
      """
    let lines = String(decoding: try Python.run(script, input: archive), as: UTF8.self).split(separator: "\n")
    try #require(lines.count == entries.count)
    for (line, member) in zip(lines, entries) {
      let fields = line.split(separator: " ").map(String.init)
      var path = member.entry.path
      if path.last == UInt8(ascii: "/") { path.removeLast() }
      #expect(unhex(fields[0]) == path)
      #expect((fields[1] == "-" ? [] : unhex(fields[1])) == member.entry.linkTarget)
      let numbers = [
        Int(member.entry.mode), Int(member.entry.uid), Int(member.entry.gid), Int(member.entry.size),
        Int(member.entry.deviceMajor), Int(member.entry.deviceMinor),
        Int(member.entry.modified) * 4 + Int(member.entry.modifiedNanoseconds) / 250_000_000,
      ]
      #expect(fields[2...8].map { Int($0) } == numbers, "\(line)")
    }
  }

  /// Archives that must be refused, and a part of the message.
  @Test func refusesWhatIsHostile() throws {
    let zeros = TarWriter.end
    let longName = String(repeating: "n", count: 256)
    func octal(_ text: String, at start: Int) -> (inout [UInt8]) -> Void {
      { block in for (index, byte) in text.utf8.enumerated() { block[start + index] = byte } }
    }
    func flag(_ flag: Character) -> (inout [UInt8]) -> Void { { $0[156] = flag.asciiValue ?? 0 } }
    func sparse(_ map: String, realsize: Int, stored: Int64, form: String = "1.0") throws -> [UInt8] {
      let parts = form.split(separator: ".")
      return try pax(
        UInt8(ascii: "x"),
        record("GNU.sparse.major", String(parts[0])) + record("GNU.sparse.minor", String(parts[1]))
          + record("GNU.sparse.name", "s") + record("GNU.sparse.realsize", String(realsize))
          + (form == "1.0" ? "" : record("GNU.sparse.map", map)))
        + header(file("s", size: stored))
        + (form == "1.0" ? Array(map.utf8) + TarWriter.padding(after: Int64(map.utf8.count)) : [])
        + [UInt8](repeating: 1, count: 1024)
    }
    var damaged = try TarWriter.header(for: file("a"))
    damaged[0] ^= 1
    let cases: [(String, [UInt8], String)] = [
      ("checksum", damaged, "no tar header stands here"),
      ("random bytes", [UInt8](repeating: 0x41, count: 512), "is not a number"),
      ("cut header", Array(try header(file("a")).prefix(100)), "cut short inside a header"),
      ("cut data", try header(file("a", size: 10)) + [1, 2], "\"a\" is cut short"),
      ("cut before its padding", try header(file("a", size: 2)) + [1], "\"a\" is cut short"),
      ("lone zero block", zeros.prefix(512) + (try header(file("a"))), "lone zero block"),
      ("no name", try header(file("a")) { $0[0] = 0 }, "has no name"),
      ("name too long", try header(file(longName)), "a component of 256 bytes"),
      ("path too long", try header(file(String(repeating: "abcdefg/", count: 600))), "a name of 4800 bytes"),
      (
        "negative size",
        try header(file("a")) { $0.replaceSubrange(124..<136, with: [UInt8](repeating: 0xFF, count: 12)) }, "size of -1"
      ),
      (
        "huge size",
        try header(file("a")) {
          $0.replaceSubrange(124..<136, with: [0x80, 0, 0, 0, 0x7F] + [UInt8](repeating: 0xFF, count: 7))
        }, "is the most"
      ),
      (
        "size beyond 64 bits",
        try header(file("a")) { $0.replaceSubrange(124..<136, with: [0x80] + [UInt8](repeating: 0xFF, count: 11)) },
        "is not a number (size of a)"
      ),
      ("size not octal", try header(file("a"), octal("00000000009", at: 124)), "is not a number (size of a)"),
      ("uid -1", try pax(UInt8(ascii: "x"), record("uid", "4294967295")) + header(file("a")), "impossible uid"),
      (
        "uid negative",
        try header(file("a")) { $0.replaceSubrange(108..<116, with: [UInt8](repeating: 0xFF, count: 8)) },
        "impossible uid"
      ),
      ("link to nothing", try header(file("a"), flag("2")), "a link to nothing"),
      ("volume label", try header(file("a"), flag("V")), "volume label"),
      ("multi volume", try header(file("a"), flag("M")), "another volume"),
      ("dump directory", try header(file("a"), flag("D")), "incremental dump"),
      ("unknown type", try header(file("a"), flag("Z")), "unknown member type Z"),
      ("pax without member", try pax(UInt8(ascii: "x"), record("path", "b")), "no member follows"),
      ("pax then end", try pax(UInt8(ascii: "x"), record("path", "b")) + zeros, "no member follows"),
      ("pax too large", try header(file("a", size: 1 << 21), flag("x")), "size of an extended header"),
      ("pax length 0", try pax(UInt8(ascii: "x"), "0 a=b\n"), "not a record"),
      ("pax length short", try pax(UInt8(ascii: "x"), "5 path=b\n"), "not a record"),
      ("pax length long", try pax(UInt8(ascii: "x"), "99 path=b\n"), "not a record"),
      ("pax length overflow", try pax(UInt8(ascii: "x"), "99999999999999999999 a=b\n"), "not a record"),
      ("pax no equals", try pax(UInt8(ascii: "x"), "9 pathbb\n"), "not a record"),
      ("pax no newline", try pax(UInt8(ascii: "x"), "9 path=bb"), "not a record"),
      ("pax NUL path", try pax(UInt8(ascii: "x"), record("path", "a\0b")) + header(file("a")), "has a NUL"),
      (
        "pax size text", try pax(UInt8(ascii: "x"), record("size", "+5")) + header(file("a")),
        "size: \"+5\" is not a whole number"
      ),
      ("pax size overflow", try pax(UInt8(ascii: "x"), record("size", "9223372036854775808")), "not a whole number"),
      ("pax mtime", try pax(UInt8(ascii: "x"), record("mtime", "1e5")), "not a time"),
      (
        "xattr name", try pax(UInt8(ascii: "x"), record("SCHILY.xattr." + longName, "v")),
        "no name of an extended attribute"
      ),
      (
        "xattr value", try pax(UInt8(ascii: "x"), record("SCHILY.xattr.user.a", String(repeating: "v", count: 65537))),
        "65,536"
      ),
      (
        "xattr twice",
        try pax(UInt8(ascii: "x"), record("SCHILY.xattr.user.a", "1") + record("SCHILY.xattr.user.a", "2")),
        "given twice"
      ),
      (
        "xattr count", try pax(UInt8(ascii: "x"), (0...256).map { record("SCHILY.xattr.user.\($0)", "v") }.joined()),
        "too many"
      ),
      ("global xattr", try pax(UInt8(ascii: "g"), record("SCHILY.xattr.user.a", "v")), "in a global header"),
      ("sparse overlap", try sparse("2\n0\n512\n256\n512\n", realsize: 4096, stored: 1536), "overlaps"),
      ("sparse outside", try sparse("1\n4000\n512\n", realsize: 4096, stored: 1024), "leaves the file"),
      (
        "sparse overflow", try sparse("1\n9223372036854775807\n9223372036854775807\n", realsize: 4096, stored: 1024),
        "leaves the file"
      ),
      ("sparse sum", try sparse("1\n0\n100\n", realsize: 4096, stored: 1024), "stores 512 bytes where"),
      ("sparse count", try sparse("99999999\n", realsize: 4096, stored: 1024), "more than 65536 pieces"),
      ("sparse text", try sparse("1\nx\n", realsize: 4096, stored: 1024), "not made of numbers"),
      ("sparse unending", try sparse("9\n1\n", realsize: 4096, stored: 512), "not made of numbers"),
      ("sparse 0.1 odd", try sparse("0,512,600", realsize: 4096, stored: 512, form: "0.1"), "odd number"),
      ("sparse realsize", try sparse("0,512", realsize: 1 << 50, stored: 512, form: "0.1"), "is the most"),
    ]
    for (name, archive, message) in cases {
      for chunk in [1, 4096] {
        let error = #expect(throws: FormatError.self, "\(name)") { try read(archive, chunk: chunk) }
        #expect(error?.description.contains(message) == true, "\(name): \(error?.description ?? "nothing")")
      }
    }
    var few = TarLimits()
    few.entries = 2
    let three = try header(file("a")) + header(file("b")) + header(file("c"))
    let error = #expect(throws: FormatError.self) { try read(three, limits: few) }
    #expect(error?.problem == "the archive has more than 2 members")
    // Sizes are not believed: nothing is set aside for them.
    var reader = TarReader()
    var position = 0
    let big = try header(file("a", size: 1 << 40))
    guard case .entry(let entry) = try reader.next(big.span, at: &position) else {
      Issue.record("no entry")
      return
    }
    #expect(entry.size == 1 << 40)
  }

  @Test func acceptsOddButHonestArchives() throws {
    #expect(try read([]).isEmpty)
    #expect(try read(TarWriter.end).isEmpty)
    #expect(try read(header(file("a"))).count == 1)
    #expect(try read(header(file("a")) + TarWriter.end + [1, 2, 3]).count == 1)
    // umoci 0.4 ends with the last byte of the last member.
    #expect(try read(header(file("a", size: 2)) + [1, 2]).first?.contents == [1, 2])
    // v7: no magic, and a directory is a name with a slash.
    let old = try header(file("d/")) {
      for index in 257..<512 { $0[index] = 0 }
      $0[156] = 0
    }
    #expect(try read(old).first?.entry.kind == .directory)
    // A later global header replaces an earlier one; the member's own record wins over both.
    let globals =
      try pax(UInt8(ascii: "g"), record("uid", "5")) + pax(UInt8(ascii: "g"), record("uid", "6") + record("gid", "7"))
      + header(file("a")) + pax(UInt8(ascii: "x"), record("uid", "9")) + header(file("b")) + header(file("c"))
    #expect(try read(globals).map { [$0.entry.uid, $0.entry.gid] } == [[6, 7], [9, 7], [6, 7]])
    // Checksums of signed bytes.
    var signed = try header(file("\u{e9}x"))
    signed = Array(signed.suffix(512))
    for index in 148..<156 { signed[index] = 0x20 }
    let sum = signed.reduce(0) { $0 + Int(Int8(bitPattern: $1)) }
    let digits = String(sum, radix: 8)
    for (index, byte) in (String(repeating: "0", count: 6 - digits.count) + digits + "\0").utf8.enumerated() {
      signed[148 + index] = byte
    }
    #expect(try read(signed).count == 1)
  }
}
