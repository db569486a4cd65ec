import ChildProcesses
import Foundation
import Testing

/// Whole programs at work behind the sentry (Tests/Fixtures/workloads, a shell script each), held against the same on the host: output
/// and exit status are equal. docs/sentry-workloads.md lists them.
@Suite(.serialized, .enabled(if: Immure.isRoot && Immure.isBuilt && Immure.hasFront, Immure.whyNoFront))
struct SentryWorkloadTests {
  struct Workload: Sendable, CustomTestStringConvertible {
    let name: String
    /// Programs that the machine must have.
    let needs: [String]
    /// Whether /etc and /usr are written to: natively they are then layers that go with the run, and /var is empty, as a sandbox has them.
    var writesToRoot = false
    var testDescription: String { name }

    var missing: [String] { needs.filter { !FileManager.default.isExecutableFile(atPath: $0) } }
  }

  /// One of each kind, in seconds.
  static let works: [Workload] = [
    Workload(name: "git", needs: ["/usr/bin/git"]),
    Workload(name: "compilers", needs: ["/usr/bin/gcc", "/usr/bin/g++", "/usr/bin/make"]),
    Workload(name: "threads", needs: ["/usr/bin/gcc"]),
    Workload(name: "node", needs: ["/usr/bin/node"]),
    Workload(name: "redis", needs: ["/usr/bin/redis-check-rdb", "/usr/bin/redis-benchmark"]),
    Workload(name: "nginx", needs: ["/usr/sbin/nginx", "/usr/bin/curl", "/usr/bin/python3"]),
    Workload(name: "numpy", needs: ["/usr/bin/python3", "/usr/lib/python3/dist-packages/numpy"]),
    Workload(name: "terminals", needs: ["/usr/bin/script", "/usr/bin/python3", "/usr/bin/perl"]),
    Workload(name: "packages", needs: ["/usr/bin/dpkg", "/usr/bin/apt-get"], writesToRoot: true),
  ]

  /// Those that are large, or that want large programs: `make test-all` installs these.
  static let large: [Workload] = [
    Workload(name: "debuggers", needs: ["/usr/bin/strace", "/usr/bin/gdb", "/usr/bin/gcc"]),
    Workload(name: "venv", needs: ["/usr/bin/python3", "/usr/lib/python3/dist-packages/pip"]),
    Workload(name: "go", needs: ["/usr/bin/go"]),
    Workload(name: "rust", needs: ["/usr/bin/rustc"]),
    Workload(name: "java", needs: ["/usr/bin/javac"]),
    Workload(name: "chromium", needs: ["/usr/bin/chromium"]),
    Workload(name: "postgres", needs: ["/usr/lib/postgresql/15/bin/initdb"]),
    Workload(name: "sqlite", needs: ["/usr/bin/sqlite3", "/usr/bin/python3"]),
    Workload(name: "tools", needs: ["/usr/bin/openssl", "/usr/bin/curl", "/usr/bin/getfattr", "/usr/bin/tclsh"]),
  ]

  static let isWhole = ProcessInfo.processInfo.environment["IMMURE_TEST_ALL"] == "1"
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures/workloads").path

  private static let environment = [
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp", "LANG": "C",
  ]
  /// What a sandbox begins with: empty folders and a loopback of its own.
  private static let begin = """
    mount -t tmpfs none /tmp && mount -t tmpfs none /dev/shm && ip link set lo up && cd / && exec "$@"
    """
  private static let beginLayered = """
    mount -t tmpfs none /mnt && cd /mnt && mkdir e ew u uw &&
    mount -t overlay -o lowerdir=/etc,upperdir=/mnt/e,workdir=/mnt/ew none /etc &&
    mount -t overlay -o lowerdir=/usr,upperdir=/mnt/u,workdir=/mnt/uw none /usr &&
    mount -t tmpfs none /var && mkdir /var/lib /var/log /var/tmp &&
    """

  @Test(arguments: works)
  func theSameAsOnTheHost(work: Workload) throws { try compare(work, seconds: 100) }

  @Test(.enabled(if: isWhole, "`make test-all` runs them"), arguments: large)
  func theSameAsOnTheHostInLarge(work: Workload) throws { try compare(work, seconds: 600) }

  private func compare(_ work: Workload, seconds: Int) throws {
    if !work.missing.isEmpty { try Test.cancel("wants \(work.missing): Scripts/install-packages.sh test workloads") }
    let script = try String(contentsOfFile: "\(Self.folder)/\(work.name).sh", encoding: .utf8)
    let begin = (work.writesToRoot ? Self.beginLayered + " " : "") + Self.begin
    let native = try Immure.command(
      [
        "/usr/bin/env", "unshare", "-mpnf", "--mount-proc", "--kill-child", "sh", "-c", begin, "x", "bash", "-c",
        script,
      ],
      environment: Self.environment, seconds: seconds)
    let immure = Immure()
    let guest = try Immure.run(
      ["--root", immure.root.path, "run", "--wall", "sentry", "--rm", "-e", "LANG=C", "--", "bash", "-c", script],
      seconds: seconds)
    #expect(lines(guest.output).difference(from: lines(native.output)).isEmpty, "\(guest.output)\(guest.error)")
    #expect(guest.status == native.status, "\(guest.error)")
    #expect(lines(native.output).count > 3, "\(native.error)")
  }

  private func lines(_ text: String) -> [String] {
    text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  }
}
