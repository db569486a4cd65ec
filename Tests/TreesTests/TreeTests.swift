import CLinux
import ChildProcesses
import Foundation
import Linux
import Testing
import Trees

/// Packing and unpacking of trees without a box: what `docker cp` does, and what a hostile tree or stream tries.
struct TreeTests {
  /// A folder that is gone when the test is over.
  final class Scratch {
    let path: String
    init() throws {
      path = NSTemporaryDirectory() + "immure-trees-\(UUID().uuidString.prefix(8))"
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit {
      _ = try? FileManager.default.removeItem(atPath: path)
    }
    @discardableResult
    func shell(_ script: String) throws -> String {
      let result = try Finished.run(["/bin/sh", "-ec", script], folder: path)
      #expect(result.status == 0, "\(script): \(result.error)")
      return result.output
    }
    /// Through a file, so that neither half waits for the other.
    func copy(_ source: TreeSource, _ target: TreeTarget) throws -> (sent: TransferReport, got: TransferReport) {
      let stream = path + "/.stream"
      let file = try File.open(stream, O_RDWR | O_CREAT | O_TRUNC, mode: 0o600)
      let sent = TreePacker(place: .host, output: file.rawValue, reopener: try Reopener()).pack(source)
      let back = try File.open(stream, O_RDONLY)
      let got = TreeUnpacker(place: .host, target: target).unpack(from: back.rawValue, signals: nil)
      try FileManager.default.removeItem(atPath: stream)
      return (sent, got)
    }
    func copy(_ source: String, _ target: String, keepsOwners: Bool = false) throws -> (
      sent: TransferReport, got: TransferReport
    ) {
      try copy(TreeSource(path + "/" + source), TreeTarget(path + "/" + target, keepsOwners: keepsOwners))
    }
  }

  /// The rules of `docker cp`: source, target, what is then where, or the words of the refusal.
  @Test(arguments: [
    ("file", "new", "new=F", ""),
    ("file", "new/", "", "no such folder"),
    ("file", "none/new", "", "is not there"),
    ("file", "old", "old=F", ""),
    ("file", "folder", "folder/file=F", ""),
    ("file", "old/", "", "Not a directory|no folder"),
    ("tree", "new", "new/a=A new/in/b=B", ""),
    ("tree", "new/", "new/a=A new/in/b=B", ""),
    ("tree/.", "new", "new/a=A new/in/b=B", ""),
    ("tree", "folder", "folder/tree/a=A folder/tree/in/b=B folder/kept=K", ""),
    ("tree/", "folder", "folder/tree/a=A", ""),
    ("tree/.", "folder", "folder/a=A folder/in/b=B folder/kept=K", ""),
    ("tree", "old", "", "a folder cannot take its place"),
    ("file/", "new", "", "is no folder"),
    ("none", "new", "", "No such file"),
    ("file", "tofolder", "folder/file=F", ""),
    ("file", "tofile", "", "is a link"),
    ("file", "pipe", "", "is a pipe"),
    ("pipe", "new", "", "is a pipe"),
  ])
  func landsWhereDockerSays(source: String, target: String, there: String, words: String) throws {
    let scratch = try Scratch()
    try scratch.shell(
      """
      printf F > file; printf O > old; mkdir folder; printf K > folder/kept
      mkdir -p tree/in; printf A > tree/a; printf B > tree/in/b; ln -s folder tofolder; ln -s old tofile; mkfifo pipe
      """)
    let (sent, got) = try scratch.copy(source, target)
    let said = (sent.fatal ?? got.fatal ?? "") + sent.failed.first + got.failed.first
    if words.isEmpty {
      #expect(said == "")
    } else {
      #expect(words.split(separator: "|").contains { said.contains($0) }, "\(said)")
    }
    for expected in there.split(separator: " ") {
      let parts = expected.split(separator: "=")
      let contents = try String(contentsOfFile: scratch.path + "/\(parts[0])", encoding: .utf8)
      #expect(contents == parts[1])
    }
    #expect(
      try scratch.shell("printf %s \"$(cat old)$(cat folder/kept)\"")
        == (target == "old" && source == "file" ? "FK" : "OK"))
    #expect(try scratch.shell("find . -name '.immure*'") == "")
  }

  @Test func everythingOfATreeArrives() throws {
    let scratch = try Scratch()
    try scratch.shell(
      """
      mkdir -p tree/deep/er 'tree/new
      line'; printf x > tree/deep/er/file; chmod 751 tree/deep; chmod 6755 tree/deep/er/file
      ln -s /etc/passwd tree/link; ln tree/deep/er/file tree/second; touch -d '2001-02-03 04:05:06' tree/deep
      printf start > tree/sparse; truncate -s 1G tree/sparse; printf end >> tree/sparse
      mkfifo tree/pipe; printf y > "tree/$(printf '\\033[31m\\377')"; : > tree/empty
      """)
    let (sent, got) = try scratch.copy("tree", "copy")
    #expect(sent.fatal == nil && got.fatal == nil && sent.failed.count == 0 && got.failed.count == 0)
    #expect(sent.leftOut.count == 1 && sent.leftOut.first.contains("is a pipe"))
    let list =
      "find . ! -type p ! -type d -exec stat -c '%n %F %s %Y' {} + | sort; find . -type d -exec stat -c '%n %Y %a' {} + | sort"
    #expect(try scratch.shell("cd tree; \(list)") == scratch.shell("cd copy; \(list)"))
    #expect(
      try scratch.shell("cmp tree/sparse copy/sparse; du -k copy/sparse | cut -f1").split(separator: "\n").first.flatMap
      { Int($0) } ?? 9999 < 1000)
    #expect(
      try scratch.shell("stat -c %a copy/second; stat -c %h copy/second; readlink copy/link") == "755\n2\n/etc/passwd\n"
    )
  }

  /// A stream says that its member lies elsewhere: by `..`, by a name of its own root, through a link that it brought itself or that
  /// was there. Nothing is written outside the target; what stands outside keeps its bytes.
  @Test func aHostileStreamStaysBeneathItsTarget() throws {
    let scratch = try Scratch()
    try scratch.shell(
      """
      mkdir out target; printf safe > out/secret; ln -s ../out target/there
      python3 - <<'P'
      import tarfile, io
      t = tarfile.open('evil.tar', 'w')
      def f(name, kind=tarfile.REGTYPE, link='', data=b'evil'):
          i = tarfile.TarInfo(name); i.type = kind; i.linkname = link
          i.size = len(data) if kind == tarfile.REGTYPE else 0
          t.addfile(i, io.BytesIO(data) if i.size else None)
      f('../out/secret'); f('a/../../out/secret'); f('there/secret')
      f('mine', tarfile.SYMTYPE, '../out'); f('mine/secret'); f('mine/new')
      f('hard', tarfile.LNKTYPE, '../out/secret'); f('hard', tarfile.LNKTYPE, 'there/secret'); f('there', tarfile.DIRTYPE)
      f('dev', tarfile.CHRTYPE); f('pipe', tarfile.FIFOTYPE); f('/abs/olute'); f('good')
      t.close()
      P
      """)
    let file = try File.open(scratch.path + "/evil.tar", O_RDONLY)
    let report = TreeUnpacker(place: .host, target: TreeTarget(scratch.path + "/target", isArchive: true)).unpack(
      from: file.rawValue, signals: nil)
    #expect(report.fatal == nil)
    #expect(report.failed.count == 8, "\(report)")
    #expect(report.leftOut.count == 2)
    #expect(try scratch.shell("ls out; cat out/secret") == "secret\nsafe")
    #expect(try scratch.shell("cd target; ls -A; cat abs/olute good") == "abs\ngood\nmine\nthere\nevilevil")
  }

  /// Sources and targets that race: another process turns a folder into a link to secrets and back, thousands of times. Neither half
  /// ever reads or writes what the link leads to.
  @Test func aLinkThatAppearsMeanwhileIsNotFollowed() throws {
    let scratch = try Scratch()
    try scratch.shell(
      "mkdir -p secret real src/sub dst; printf secret > secret/file; printf mine > src/sub/file; cp -r src base")
    // Folders and links change places by rename, which the walks can meet at any point.
    let script = """
      import os
      os.symlink('../secret', 'src/evil'); os.symlink('../../secret', 'dst/evil')
      while os.path.exists('go'):
          for top in ('src', 'dst/src'):
              try:
                  os.rename(top + '/sub', top + '/aside'); os.rename(top + '/evil', top + '/sub')
                  os.rename(top + '/sub', top + '/evil'); os.rename(top + '/aside', top + '/sub')
              except OSError: pass
      """
    try Data(script.utf8).write(to: URL(fileURLWithPath: scratch.path + "/flip.py"))
    try Data().write(to: URL(fileURLWithPath: scratch.path + "/go"))
    let flipper = try Helper(["python3", "flip.py"], folder: scratch.path)
    for round in 0..<1000 {
      _ = try scratch.copy("src", "dst")
      if round % 100 == 0 {
        #expect(try scratch.shell("cat secret/file; ls secret; grep -rl secret dst || true") == "secretfile\n")
      }
    }
    try FileManager.default.removeItem(atPath: scratch.path + "/go")
    #expect(flipper.wait() == 0)
    #expect(try scratch.shell("cat secret/file; ls secret; grep -rl secret dst || true") == "secretfile\n")
  }

  /// More than a file's descriptors deep, and deeper than a path may be: what can be reached arrives, the rest is told.
  @Test func aTreeMayBeDeeperThanAPath() throws {
    let scratch = try Scratch()
    try scratch.shell(
      """
      python3 - <<'P'
      import os
      os.mkdir('tree'); os.chdir('tree')
      for i in range(2100):
          os.mkdir('d'); os.chdir('d')
      open('bottom', 'w').close()
      P
      """)
    let (sent, got) = try scratch.copy("tree", "copy")
    #expect(sent.fatal == nil && got.fatal == nil && got.failed.count == 0)
    #expect(sent.failed.count == 1 && sent.failed.first.contains("too deep"), "\(sent)")
    #expect(sent.folders > 1900 && got.folders == sent.folders)
    try scratch.shell(
      "python3 -c 'import shutil,sys; sys.setrecursionlimit(9999); shutil.rmtree(\"tree\"); shutil.rmtree(\"copy\")' || rm -rf tree copy"
    )
  }

  @Test func aCutStreamLeavesNothingHalf() throws {
    let scratch = try Scratch()
    try scratch.shell(
      "mkdir tree target; printf ok > tree/a; head -c 100000 /dev/zero > tree/b; tar cf - tree | head -c 60000 > cut.tar"
    )
    let file = try File.open(scratch.path + "/cut.tar", O_RDONLY)
    let report = TreeUnpacker(place: .host, target: TreeTarget(scratch.path + "/target", isArchive: true)).unpack(
      from: file.rawValue, signals: nil)
    #expect(report.fatal?.contains("cut short") == true, "\(report)")
    #expect(try scratch.shell("find target -type f -size +50k; find target -name '.immure*'") == "")
  }

  @Test func theReportComesThroughItsPipe() {
    var report = TransferReport()
    report.files = 3
    report.bytes = 1 << 40
    report.leftOut.add("a is a device")
    report.failed.add("b: no")
    report.failed.add("c: no")
    report.attributes.add("user.x of d: no")
    report.fatal = "why it \"ended\""
    report.signal = 2
    report.isCut = true
    #expect(TransferReport(encoded: report.encoded) == report)
    #expect(TransferReport(encoded: TransferReport().encoded) == TransferReport())
    #expect(TransferReport(encoded: Array(report.encoded.dropLast(4))) == nil)
  }
}
