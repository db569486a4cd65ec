import ChildProcesses
import Foundation
import Testing

/// What a box without an image sees of the host's files: programs, and nothing that is anybody's own.
@Suite(.enabled(if: Caller.canBeAnybody, Caller.whyNotAnybody), .timeLimit(.minutes(60)))
struct HostRootTests {
  static let callers: [Caller] = [.root, .user]
  /// Where secrets lie; the file is made readable by all, so that nothing but the wall keeps it.
  static let hidden = [
    "/home/NAME", "/home/\(Caller.account)/NAME", "/root/NAME", "/run/NAME", "/var/NAME", "/var/lib/NAME",
    "/var/tmp/NAME",
    "/tmp/NAME", "/mnt/NAME", "/srv/NAME", "/media/NAME", "/dev/shm/NAME", "/etc/shadow-NAME", "/etc/gshadow-NAME",
    "/etc/sudoers.d/NAME", "/etc/ssh/NAME_key", "/etc/ssl/private/NAME",
  ]

  /// Each of them in several ways: by its name, through links of procfs, with "..", through a link of the box's own, and by looking
  /// into its folder.
  static let reading = """
    f=$1; d=$(dirname $f); b=$(basename $f)
    cat $f; head -c 99 /proc/self/root$f; cat /proc/1/root$f; cat /usr/..$f; cat //$f; (cd $d && cat $b)
    ln -s $f ~/link && cat ~/link; ln $f ~/hard && cat ~/hard; cp $f ~/copy && cat ~/copy; mv $f ~/moved && cat ~/moved
    perl -e 'open my $h, "<", shift and print <$h>' $f; perl -e 'open my $h, "+<", shift and print <$h>' $f
    find $d -maxdepth 1 -name "*$b*" -exec cat {} +; grep -r "" $f
    for p in /proc/[0-9]*; do cat $p/root$f; cat $p/cwd$f; done
    exit 0
    """

  @Test(arguments: contractWalls, callers)
  func aSecretIsNotRead(wall: String, caller: Caller) throws {
    let station = try Station(caller)
    let token = "token-\(UUID().uuidString)"
    var planted: [String] = []
    defer { for path in planted { try? FileManager.default.removeItem(atPath: path) } }
    var control = ""
    for pattern in Self.hidden {
      let path = pattern.replacingOccurrences(of: "NAME", with: "immure-test-\(station.mark)")
      // Some of these folders are not on every machine.
      guard FileManager.default.fileExists(atPath: (path as NSString).deletingLastPathComponent) else { continue }
      try token.write(toFile: path, atomically: false, encoding: .utf8)
      _ = try Immure.command(["chmod", "644", path])
      planted.append(path)
      control += try Immure.command(["sh", "-c", "cat \(path)"]).output
    }
    #expect(planted.count > 8)
    // The reading does read where there is no wall.
    #expect(control.components(separatedBy: token).count == planted.count + 1)
    let list = planted.joined(separator: " ")
    let quoted = "'" + Self.reading.replacingOccurrences(of: "'", with: "'\\''") + "'"
    let result = try station.script(
      "for f in \(list); do box -- sh -c \(quoted) sh $f 2> /dev/null || echo failed; done",
      wall: wall, seconds: 120)
    #expect(!result.output.contains(token), "\(result.output)")
    #expect(!result.output.contains("failed"), "\(result.error)")
    #expect(planted.allSatisfy { FileManager.default.fileExists(atPath: $0) })
    let identity = (try? String(contentsOfFile: "/etc/machine-id", encoding: .utf8)) ?? ""
    if !identity.isEmpty {
      #expect(try station.script("box -- cat /etc/machine-id", wall: wall).output != identity)
    }
    #expect(try station.close() == [])
  }

  @Test(arguments: contractWalls, callers)
  func nothingIsWrittenOutside(wall: String, caller: Caller) throws {
    let station = try Station(caller)
    let name = "immure-written-\(station.mark)"
    let folders = [
      "/", "/usr", "/usr/bin", "/etc", "/opt", "/bin", "/lib", "/tmp", "/var/tmp", "/var", "/root", "/home",
      "/home/\(Caller.account)",
      "/srv", "/mnt", "/run", "/dev/shm", "/boot", "/media",
    ]
    let result = try station.script(
      """
      box -- sh -c '
        for d in \(folders.joined(separator: " ")); do
          echo x > $d/$0; mkdir $d/$0.folder; ln -s x $d/$0.link; mkfifo $d/$0.fifo
        done
        for f in /etc/passwd /etc/hosts /usr/bin/env /bin/sh; do echo x >> $f; chmod 777 $f; touch -d 2001-01-01 $f; done
        rm -rf /etc/hostname /usr/share/doc/perl-base; mv /etc/issue /etc/issue.moved
        echo ended' \(name) 2> /dev/null
      """, wall: wall)
    #expect(result.output == "ended\n", "\(result.error)")
    for folder in folders {
      for ending in ["", ".folder", ".link", ".fifo"] {
        #expect(!FileManager.default.fileExists(atPath: "\(folder)/\(name)\(ending)"))
      }
    }
    let check = try Immure.command([
      "sh", "-c",
      "tail -n 1 /etc/passwd /etc/hosts | grep -x x; find /etc/passwd /usr/bin/env /bin/sh ! -newermt 2001-01-02; ls /etc/issue.moved",
    ])
    #expect(check.output == "")
    #expect(try station.close() == [])
  }

  /// The current folder is there at its own path, read-only, and not what lies beside it.
  @Test(arguments: contractWalls, callers)
  func theCurrentFolderIsReadOnly(wall: String, caller: Caller) throws {
    let station = try Station(caller)
    let above = "/srv/immure-cwd-\(station.mark)"
    let folder = above + "/here"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: above) }
    try "kept".write(toFile: folder + "/file", atomically: false, encoding: .utf8)
    try "beside".write(toFile: above + "/beside", atomically: false, encoding: .utf8)
    _ = try Immure.command(["chown", "-R", caller.owner, above])
    let result = try station.script(
      """
      cd \(folder) || exit
      box -- sh -c 'pwd; cat file; echo; echo x > file || echo refused; echo x > new || echo refused; rm -f file || echo refused
        cat ../beside || echo hidden; cat \(above)/beside || echo hidden' 2> /dev/null
      cat file
      """, wall: wall)
    #expect(result.output == "\(folder)\nkept\nrefused\nrefused\nrefused\nhidden\nhidden\nkept", "\(result.error)")
    #expect(!FileManager.default.fileExists(atPath: folder + "/new"))
    #expect(try station.close() == [])
  }

  @Test(arguments: contractWalls, callers)
  func aHomeIsNotLentAsTheCurrentFolder(wall: String, caller: Caller) throws {
    let station = try Station(caller)
    for start in ["/", "$HOME", "/home", "/root"] {
      let result = try station.script(
        "cd \(start) 2> /dev/null || exit 0; ls -A | grep -q . && box -- sh -c 'test \"$(pwd)\" = / || ls -A .'",
        wall: wall)
      #expect(result.output == "", "from \(start): \(result.output) \(result.error)")
    }
    #expect(try station.close() == [])
  }
}
