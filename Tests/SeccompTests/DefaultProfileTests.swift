import Foundation
import Seccomp
import Testing

@Suite("Our own profiles")
struct DefaultProfileTests {
  static let dockerCapabilities: UInt64 = 0xA804_25FB

  static func answer(
    _ profile: DefaultProfile, _ name: String, _ arguments: [UInt64] = [], on architecture: Architecture = .x86_64,
    machine: Architecture = .x86_64
  ) throws -> Action {
    let number = try #require(SyscallTable.number(of: name, architecture: architecture))
    let call = SeccompData(number: number, architecture: architecture.auditToken!, arguments: arguments)
    return try Simulator.run(profile.compile(for: machine).instructions, call).action
  }

  static let eperm = Action.errno(1)
  static let enosys = Action.errno(38)
  static let noFamily = Action.errno(97)

  @Test(
    "the container's answers",
    arguments: [
      ("read", [], .allow), ("execve", [], .allow), ("mount", [], eperm), ("unshare", [], eperm), ("setns", [], eperm),
      ("clone", [0x11], .allow), ("clone", [0x1000_0011], eperm), ("clone", [0x0002_0011], eperm),
      ("clone", [1 << 40 | 0x11], .allow), ("clone3", [], enosys), ("ptrace", [], .allow), ("bpf", [], eperm),
      ("keyctl", [], eperm), ("add_key", [], eperm), ("request_key", [], eperm), ("userfaultfd", [], eperm),
      ("io_uring_setup", [], eperm), ("io_uring_enter", [], eperm), ("io_uring_register", [], eperm),
      ("perf_event_open", [], eperm), ("kexec_load", [], eperm), ("kexec_file_load", [], eperm),
      ("init_module", [], eperm),
      ("open_by_handle_at", [], eperm), ("chroot", [], .allow), ("reboot", [], eperm), ("swapon", [], eperm),
      ("personality", [0], .allow), ("personality", [0x40000], eperm), ("personality", [0xffff_ffff], .allow),
      ("personality", [.max], eperm), ("socket", [1], .allow), ("socket", [2], .allow), ("socket", [10], .allow),
      ("socket", [16], .allow), ("socket", [17], .allow), ("socket", [38], noFamily), ("socket", [40], noFamily),
      ("socket", [1 << 32 | 38], noFamily), ("socket", [1 << 32 | 1], noFamily), ("socketpair", [1], .allow),
      ("ioctl", [0, 0x5412], eperm), ("ioctl", [0, 1 << 32 | 0x5412], eperm), ("ioctl", [0, 0x541c], eperm),
      ("ioctl", [0, 0x5413], .allow), ("file_getattr", [], enosys), ("io_setup", [], .allow),
    ] as [(String, [UInt64], Action)])
  func container(_ name: String, _ arguments: [UInt64], _ wanted: Action) throws {
    let profile = DefaultProfile(capabilities: Self.dockerCapabilities)
    #expect(try Self.answer(profile, name, arguments) == wanted)
  }

  @Test(
    "without a capability, with it",
    arguments: [
      ("mount", 21), ("unshare", 21), ("setns", 21), ("clone3", 21), ("bpf", 39), ("bpf", 21), ("perf_event_open", 38),
      ("syslog", 34), ("chroot", 18), ("reboot", 22), ("acct", 20), ("kcmp", 19), ("iopl", 17), ("settimeofday", 25),
      ("vhangup", 26), ("mbind", 23), ("init_module", 16), ("open_by_handle_at", 2),
    ] as [(String, UInt64)])
  func capability(_ name: String, _ number: UInt64) throws {
    #expect(try Self.answer(DefaultProfile(), name) != .allow)
    #expect(try Self.answer(DefaultProfile(capabilities: 1 << number), name) == .allow)
    #expect(try Self.answer(DefaultProfile(.jail, capabilities: 1 << number), name) != .allow)
  }

  @Test("a raw socket's family wants CAP_NET_RAW")
  func packet() throws {
    #expect(try Self.answer(DefaultProfile(), "socket", [17]) == Self.noFamily)
    #expect(try Self.answer(DefaultProfile(capabilities: 1 << 13), "socket", [17]) == .allow)
  }

  @Test("a call that no kernel has is ENOSYS, x32 and i386 kill, a skipped call does not")
  func foreign() throws {
    let program = try DefaultProfile().compile(for: .x86_64).instructions
    func answer(_ number: UInt32, _ token: UInt32) throws -> Action {
      try Simulator.run(program, SeccompData(number: number, architecture: token)).action
    }
    #expect(try answer(470, 0xC000_003E) == Self.enosys)
    #expect(try answer(100_000, 0xC000_003E) == Self.enosys)
    #expect(try answer(0x4000_0000, 0xC000_003E) == .killProcess)
    #expect(try answer(0xffff_fffe, 0xC000_003E) == .killProcess)
    #expect(try answer(0xffff_ffff, 0xC000_003E) == Self.enosys)
    #expect(try answer(3, 0x4000_0003) == .killProcess)
    #expect(try answer(63, 0xC000_00B7) == .killProcess)
  }

  @Test("the network refused: no family but AF_UNIX, and no i386 way around")
  func network() throws {
    for kind in [DefaultProfile.Kind.container, .jail] {
      let profile = DefaultProfile(kind, capabilities: .max, denyNetwork: true, compat32: true)
      for name in ["socket", "socketpair"] {
        #expect(try Self.answer(profile, name, [1]) == .allow)
        for family in [0, 2, 3, 10, 16, 17, 38, 40, 45, 1 << 32 | 1] as [UInt64] {
          #expect(try Self.answer(profile, name, [family]) == Self.noFamily)
        }
        #expect(try Self.answer(profile, name, [2], on: .x86) == Self.noFamily)
      }
      #expect(try Self.answer(profile, "socketcall", on: .x86) == Self.enosys)
    }
  }

  @Test("the jail also refuses to look into other processes")
  func jail() throws {
    for name in [
      "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "chroot", "mount", "unshare", "setns",
    ] {
      #expect(try Self.answer(DefaultProfile(.jail, capabilities: .max), name) == Self.eperm)
    }
  }

  @Test("the worker reads, writes and takes memory that cannot run, else dies")
  func worker() throws {
    let worker = DefaultProfile(.worker)
    #expect(try Self.answer(worker, "read") == .allow)
    #expect(try Self.answer(worker, "mmap", [0, 0, 3]) == .allow)
    for (name, arguments) in [
      ("mmap", [0, 0, 7]), ("mprotect", [0, 0, 4]), ("openat", []), ("execve", []), ("socket", [1]), ("clone", [0x11]),
      ("kill", []),
    ] as [(String, [UInt64])] {
      #expect(try Self.answer(worker, name, arguments) == .killProcess)
    }
  }

  @Test(
    "the tables by number are the names' (IMMURE_REGENERATE=1 writes them)", .serialized,
    arguments: [.x86_64, .x86, .arm64, .arm, .riscv64] as [Architecture])
  func groups(_ machine: Architecture) throws {
    let wanted = DefaultProfile.lettersFromNames(of: machine)
    let table = try #require(DefaultProfile.letters(of: machine))
    if ProcessInfo.processInfo.environment["IMMURE_REGENERATE"] == "1" {
      try Self.rewrite(machine, wanted)
    } else {
      #expect(table == wanted)
    }
  }

  /// Puts an architecture's letters in the place of those in the source file.
  private static func rewrite(_ machine: Architecture, _ letters: String) throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Sources/Seccomp/DefaultProfile+Groups.swift")
    var lines = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n")
    let start = try #require(lines.firstIndex(of: "    case .\(machine):"))
    let end = try #require(lines[(start + 2)...].firstIndex(of: "      \"\"\""))
    let characters = Array(letters)
    let rows = stride(from: 0, to: characters.count, by: 100).map {
      "      " + String(characters[$0..<min($0 + 100, characters.count)])
    }
    lines.replaceSubrange((start + 2)..<end, with: rows)
    try lines.joined(separator: "\n").write(to: file, atomically: true, encoding: .utf8)
  }

  /// The time, which `make bench` reads, is told; the size, which repeats, is held.
  @Test("a compiled default has at most 240 instructions", .enabled(if: !isDebug, "release builds only"))
  func speed() throws {
    for profile in CompilerTests.ownProfiles {
      var best = Duration.seconds(1)
      for _ in 0..<50 {
        let time = try ContinuousClock().measure { _ = try profile.compile(for: .host) }
        best = min(best, time)
      }
      let count = try profile.compile(for: .host).instructions.count
      print(
        "compile \(profile.kind) compat32=\(profile.compat32) denyNetwork=\(profile.denyNetwork):",
        "\(best), \(count) instructions")
      #expect(count <= 240)
    }
  }

  static let isDebug: Bool = {
    var debug = false
    assert({ debug = true }() == ())
    return debug
  }()
}
