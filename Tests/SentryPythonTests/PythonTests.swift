import ChildProcesses
import Foundation
import Testing

/// What the tests are run with.
private enum World {
  static let immure = (ProcessInfo.processInfo.environment["IMMURE_BIN"] ?? "") + "/immure"
  static let python = "/usr/bin/python3"

  static let why: Comment =
    "wants root, IMMURE_BIN as `make test` sets it, and Python's tests (Debian's libpython3.11-testsuite)"
  static let isThere: Bool = {
    guard geteuid() == 0, FileManager.default.isExecutableFile(atPath: immure) else { return false }
    // Where even that cannot be run, nothing can.
    return (try? Finished.run([python, "-c", "import test.test_os"], folder: "/", seconds: 60).status) == 0
  }()
}

/// Python's own test modules that touch the system, natively and behind the sentry: each test comes out alike, but for those that
/// differences.txt names with a cause. The list may only shrink: an entry that no longer differs fails too.
@Suite("Python's own tests", .serialized, .enabled(if: World.isThere, World.why))
struct PythonTests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  /// Seconds each; the others take minutes.
  private static let quick = [
    "test_fcntl", "test_fileio", "test_glob", "test_mmap", "test_openpty", "test_posix", "test_pty", "test_pwd",
    "test_resource", "test_select", "test_shutil", "test_socketserver", "test_stat", "test_tempfile", "test_time",
    "test_timeout",
  ]
  private static let others = [
    "test_asyncio", "test_eintr", "test_epoll", "test_file_eintr", "test_fork1", "test_io", "test_multiprocessing_fork",
    "test_multiprocessing_forkserver", "test_multiprocessing_main_handling", "test_multiprocessing_spawn", "test_os",
    "test_pathlib", "test_poll", "test_selectors", "test_signal", "test_socket", "test_subprocess", "test_threading",
    "test_threadsignals", "test_wait3", "test_wait4",
  ]
  static let modules = quick + (ProcessInfo.processInfo.environment["IMMURE_TEST_ALL"] == "1" ? others : [])

  /// What the sandbox's program has, from the host's kernel: namespaces of its own, an empty /tmp, no network, root's usual
  /// capabilities (docs/container.md) and the limits of the policy.
  private static let native = """
    unshare -m -n -p -i -u --fork --kill-child --mount-proc sh -c '
    ip link set lo up; hostname localhost; mount -t tmpfs none /tmp; cd /tmp
    exec prlimit --core=0 --fsize=4294967296 --nofile=4096 setpriv --no-new-privs --bounding-set=-all,\(capabilities) \
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8 "$@"' sh
    """
  private static let capabilities =
    "+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot"
    + ",+mknod,+audit_write,+setfcap"

  @Test("each test as natively, but for those of the list", arguments: modules)
  func module(name: String) throws {
    let root = NSTemporaryDirectory() + "immure-python-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    defer {
      // What a test left behind goes with the folder.
      _ = try? Finished.run([World.immure, "--root", root, "rm", "-f", "--all"], folder: "/")
      try? FileManager.default.removeItem(atPath: root)
    }
    let wall =
      "\(World.immure) --root \(root) run --quiet --wall sentry --rm -e LANG=C.UTF-8 -e HOME=/tmp --hostname localhost"
      + " -w /tmp -m 3g --pids 2000 --output 1g --scratch 2g --"
    let compared = try Finished.run(
      [
        "/usr/bin/python3", Self.folder.deletingLastPathComponent().path + "/Fixtures/python-suite/compare.py",
        "--python", World.python, "--list", Self.folder.path + "/differences.txt", "--native", Self.native,
        "--wall", wall, name,
      ], folder: "/", seconds: 1800)
    #expect(compared.status == 0 && compared.output.isEmpty, "\(compared.output)\(compared.error)")
  }
}
