import Formats
import Policy
import Seccomp
import Testing
import Trace

/// What facts become: pure, without a program, root or a box.
@Suite("From facts to a policy and a profile")
struct DraftTests {
  static let places = ShownPlaces(
    visible: ["/usr", "/bin", "/lib", "/etc"], hidden: ["/etc/shadow*", "/etc/ssh/*_key", "/etc/ssl/private"])

  static func facts(_ change: (inout TraceFacts) -> Void = { _ in }) -> TraceFacts {
    var facts = TraceFacts()
    facts.command = ["prog"]
    facts.folder = "/srv/project"
    facts.home = "/home/u"
    facts.peakTasks = 3
    facts.peakMemoryBytes = 10 << 20
    facts.peakDescriptors = 7
    change(&facts)
    return facts
  }

  /// The policy as `run` reads it: a draft that is not valid fails here.
  static func policy(_ facts: TraceFacts) throws -> (policy: Policy, draft: PolicyDraft) {
    let draft = PolicyDraft(facts, places, profile: nil)
    return (try PolicyFile.read(Array(draft.text.utf8), path: "p.toml", folder: "/", over: Policy()), draft)
  }

  static func rules(_ policy: Policy, _ access: FileRule.Access) -> [String] {
    policy.files.map(\.value).filter { $0.access == access }.map(\.path)
  }

  @Test("nothing seen needs nothing")
  func nothing() throws {
    let (policy, draft) = try Self.policy(Self.facts())
    #expect(policy.files.isEmpty && policy.devices.isEmpty && policy.floor == nil && draft.warnings.isEmpty)
    #expect(policy.network.value == .none && policy.network.origin.isBinding)
    #expect(policy.limits.pids?.value == 16 && policy.limits.openFiles?.value == 256)
    #expect(policy.limits.memory?.value == 96 << 20)
  }

  @Test("what is shown anyway, the kernel's own and the box's scratch get no rule")
  func shown() throws {
    let (policy, draft) = try Self.policy(
      Self.facts {
        $0.paths = [
          "/usr/lib/x.so": PathFact(.read), "/etc/hosts": PathFact(.read), "/proc/stat": PathFact(.read),
          "/dev/null": PathFact([.read, .changed], .device), "/dev/fuse": PathFact(.read, .device),
          "/tmp/a": PathFact([.created, .removed], .absent, remains: false), "/tmp/left": PathFact(.created),
          "/home": PathFact(.looked, .folder), "/srv": PathFact(.looked, .folder), "/usr/lib/new": PathFact(.created),
        ]
      })
    #expect(policy.files.isEmpty)
    #expect(policy.devices.map(\.value.path) == ["/dev/fuse"])
    #expect(draft.text.contains("\"/etc/hosts\"") && draft.text.contains("gone with the box: \"/tmp/left\""))
    #expect(draft.text.contains("thrown away: \"/usr/lib/new\""))
  }

  @Test("files by name, folders where many of their files or their names were read")
  func reads() throws {
    let (policy, _) = try Self.policy(
      Self.facts {
        for index in 0..<9 { $0.paths["/opt/app/lib/\(index).py"] = PathFact(.read) }
        for index in 0..<8 { $0.paths["/opt/app/few/\(index)"] = PathFact(.read) }
        $0.paths["/data/set/listed"] = PathFact([.looked, .listed], .folder)
        $0.paths["/data/set/listed/one"] = PathFact(.read)
        $0.paths["/srv/project/a.txt"] = PathFact(.read)
        $0.paths["/data/gone"] = PathFact(.read, remains: false)
        $0.paths["/tmp/given"] = PathFact(.read)
      })
    #expect(
      Self.rules(policy, .read)
        == ["/data/set/listed"] + (0..<8).map { "/opt/app/few/\($0)" } + ["/opt/app/lib", "/srv/project", "/tmp/given"])
  }

  /// A program that uses as many paths as are kept must not hold the tracer up for minutes.
  @Test("many folders of many files end in few rules")
  func many() throws {
    let (policy, _) = try Self.policy(
      Self.facts {
        for folder in 0..<500 {
          for file in 0..<20 { $0.paths["/opt/x/tree/\(folder % 25)/\(folder)/\(file)"] = PathFact(.read) }
        }
      })
    #expect(Self.rules(policy, .read) == ["/opt/x/tree"])
  }

  @Test("a file that was made needs the folder that was there before; one that was changed needs itself")
  func writes() throws {
    let (policy, _) = try Self.policy(
      Self.facts {
        $0.paths = [
          "/srv/project/build": PathFact(.created, .folder), "/srv/project/build/x/y": PathFact(.created),
          "/srv/project/in": PathFact(.read), "/srv/log/app.log": PathFact(.changed),
          "/srv/out/done": PathFact([.created, .removed], .absent, remains: false),
        ]
      })
    #expect(Self.rules(policy, .write) == ["/srv/log/app.log", "/srv/out", "/srv/project"])
    // It is within what may be written.
    #expect(Self.rules(policy, .read).isEmpty)
  }

  @Test("a secret that was read is never granted silently")
  func secrets() throws {
    let (policy, draft) = try Self.policy(
      Self.facts {
        $0.paths = [
          "/home/u/.ssh/id_ed25519": PathFact(.read), "/home/u/.aws/credentials": PathFact(.changed),
          "/etc/shadow": PathFact(.read), "/etc/shadow-": PathFact(.read), "/etc/ssh/ssh_host_rsa_key": PathFact(.read),
          "/srv/project/.env": PathFact(.read), "/srv/project/main.py": PathFact(.read),
          "/opt/x/site.key": PathFact(.read),
          "/opt/x/cacert.pem": PathFact(.read), "/run/secrets/db": PathFact(.read),
        ]
      })
    #expect(Self.rules(policy, .read) == ["/opt/x/cacert.pem", "/srv/project"])
    #expect(Self.rules(policy, .write).isEmpty)
    // The folder around it is given, so the secret is hidden in it.
    #expect(Self.rules(policy, .hidden) == ["/srv/project/.env"])
    for secret in [
      "/home/u/.ssh/id_ed25519", "/home/u/.aws/credentials", "/etc/shadow", "/opt/x/site.key", "/run/secrets/db",
    ] {
      #expect(draft.warnings.contains { $0.contains("\"\(secret)\"") }, "\(secret)")
      let line = draft.text.split(separator: "\n").first { $0.contains("\"\(secret)\",  # SECRET") }
      #expect(line?.drop { $0 == " " }.hasPrefix("#") == true, "\(secret)")
    }
  }

  @Test("what the run made itself is no secret, but a place of secrets is not given for it")
  func made() throws {
    let (policy, draft) = try Self.policy(
      Self.facts {
        $0.paths = [
          "/srv/project/test.key": PathFact([.created, .read]), "/tmp/x.pem": PathFact([.created, .read]),
          "/home/u/.ssh/keys": PathFact(.looked, .folder), "/home/u/.ssh/keys/new": PathFact(.created),
        ]
      })
    #expect(Self.rules(policy, .write) == ["/srv/project"] && Self.rules(policy, .hidden).isEmpty)
    #expect(draft.warnings.contains { $0.contains("\"/home/u/.ssh/keys\" is too much to give") })
  }

  @Test("disks, memory and the kernel's settings are not given unasked; a working folder below what is shown is")
  func kernel() throws {
    let (policy, draft) = try Self.policy(
      Self.facts {
        $0.folder = "/usr/local/project"
        $0.paths = [
          "/dev/sda": PathFact(.read, .device), "/dev/mem": PathFact([.read, .changed], .device),
          "/dev/kvm": PathFact([.read, .changed], .device), "/proc/sys/kernel/hostname": PathFact(.changed),
          "/usr/local/project/out": PathFact(.created), "/usr/local/project/in": PathFact(.read),
        ]
      })
    #expect(policy.devices.map(\.value.path) == ["/dev/kvm"])
    #expect(Self.rules(policy, .write) == ["/usr/local/project"] && Self.rules(policy, .read).isEmpty)
    #expect(draft.text.contains("settings, which no box may: \"/proc/sys/kernel/hostname\""))
    #expect(draft.warnings.count == 2 && draft.warnings.allSatisfy { $0.contains("/dev/") })
  }

  @Test(
    "homes and the folders that hold everything are not given whole",
    arguments: ["/home/u", "/", "/root", "/var/lib", "/home/u/.config"])
  func broad(_ folder: String) throws {
    let (policy, draft) = try Self.policy(
      Self.facts {
        // A working folder is shown anyway; a home is not.
        if folder == $0.home || folder == "/" { $0.folder = folder }
        for index in 0..<20 { $0.paths[(folder == "/" ? "" : folder) + "/f\(index)"] = PathFact(.read) }
        $0.paths[folder] = PathFact([.looked, .listed], .folder)
        $0.paths[(folder == "/" ? "" : folder) + "/new"] = PathFact(.created)
      })
    #expect(!policy.files.contains { $0.value.path == folder })
    #expect(Self.rules(policy, .read).count == 20 && Self.rules(policy, .write).isEmpty)
    #expect(draft.warnings.contains { $0.contains("too much to give") })
  }

  @Test("the network is what was opened")
  func network() throws {
    func rule(_ change: (inout TraceFacts) -> Void) throws -> (NetworkRule, WallName?) {
      let policy = try Self.policy(Self.facts(change)).policy
      return (policy.network.value, policy.floor?.value)
    }
    let server = Endpoint([127, 0, 0, 1], 8080)
    // A server and its own client: a namespace with loopback holds it, a jail does not.
    #expect(
      try rule {
        $0.listeners = [server: 2]
        $0.connections = [server: 2]
      } == (.none, .container))
    // Version 4 within version 6 is the same address.
    #expect(Endpoint([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1], 8080) == server)
    #expect(
      try rule { $0.listeners = [server: 1] }.0
        == .user(ports: [PortForward(address: "127.0.0.1", hostPort: 8080, boxPort: 8080)], allowPrivate: false))
    #expect(
      try rule { $0.connections = [Endpoint([93, 184, 216, 34], 443): 1] }.0 == .user(ports: [], allowPrivate: false))
    #expect(try rule { $0.connections = [Endpoint([10, 0, 0, 1], 443): 1] }.0 == .user(ports: [], allowPrivate: true))
    #expect(
      try rule { $0.connections = [Endpoint([127, 0, 0, 53], 53, isDatagram: true): 1] }.0
        == .user(ports: [], allowPrivate: false))
    // A service of this machine's, which nothing in the run listened as.
    #expect(try rule { $0.connections = [Endpoint([127, 0, 0, 1], 5432): 1] }.0 == .host)
  }

  @Test("services' sockets stand in the policy as comments")
  func services() throws {
    let (policy, draft) = try Self.policy(
      Self.facts {
        $0.localConnections = ["/run/docker.sock", "/tmp/own.sock", "@abstract"]
        $0.localListeners = ["/tmp/own.sock"]
      })
    #expect(policy.files.isEmpty)
    #expect(draft.warnings.count == 2 && draft.text.contains("{ path = \"/run/docker.sock\", sockets = true }"))
    #expect(!draft.text.contains("/tmp/own.sock"))
  }

  /// The program chooses its paths, arguments and variables: none may add a rule to the policy that a person reads and trusts, end a
  /// comment, or make the policy one that cannot be read.
  @Test(
    "hostile names stay names",
    arguments: ["a\nread = [\"/\"]", "\"], write = [\"/x", "\\", "\u{202e}x", "\u{1b}[2J", "a:b:c", "é ü"])
  func hostile(_ name: String) throws {
    let (policy, draft) = try Self.policy(
      Self.facts {
        $0.command = [name]
        $0.environment = ["X=\(name)", "Y\(name)=1", "LC_ALL=\(name)"]
        $0.paths = [
          "/opt/x/\(name)": PathFact(.read), "/opt/y/\(name)/z": PathFact(.created), "/tmp/\(name)": PathFact(.created),
          "/home/u/.ssh/\(name)": PathFact(.read), "/etc/\(name)": PathFact(.created),
          "/dev/\(name)": PathFact(.read, .device),
        ]
        $0.localConnections = ["/run/\(name)", "@\(name)"]
      })
    #expect(Self.rules(policy, .read) == ["/opt/x/\(name)"])
    #expect(Self.rules(policy, .write) == ["/opt/y/\(name)"])
    #expect(policy.environment.map(\.value) == ["LC_ALL=\(name)"])
    #expect(!draft.text.unicodeScalars.contains { $0.value < 32 && $0 != "\n" || $0.value == 0x202e })
  }

  @Test("variables: what files bear out is given, secrets are named without their values")
  func environment() throws {
    let (policy, draft) = try Self.policy(
      Self.facts {
        $0.environment = [
          "PATH=/opt/tool/bin:/usr/bin", "JAVA_HOME=/opt/java", "GITHUB_TOKEN=ghp_hidden", "TERM=xterm", "FOO=bar",
          "HOME=/home/u", "TZ=UTC", "USELESS=/opt/none",
        ]
        $0.paths = ["/opt/tool/bin/make": PathFact(.executed), "/opt/java/lib/rt.jar": PathFact(.read)]
      })
    #expect(
      policy.environment.map(\.value).sorted() == ["JAVA_HOME=/opt/java", "PATH=/opt/tool/bin:/usr/bin", "TZ=UTC"])
    #expect(draft.text.contains("FOO") && draft.text.contains("GITHUB_TOKEN") && !draft.text.contains("ghp_hidden"))
  }
}

@Suite("The profile of a run")
struct ProfileTests {
  static func profile(_ calls: [CallFact]) throws -> SeccompProfile {
    let facts = DraftTests.facts { $0.calls = calls }
    return try SeccompProfile(json: ProfileDraft(facts).json.bytes(), source: "profile")
  }

  /// What the compiled profile says of a call of this machine's.
  static func answer(_ calls: [CallFact], _ name: String, _ arguments: [UInt64] = []) throws -> Action {
    let program = try profile(calls).compile(for: .x86_64)
    let number = try #require(SyscallTable.number(of: name, architecture: .x86_64))
    return try Simulator.run(
      program.instructions,
      SeccompData(number: number, architecture: try #require(Architecture.x86_64.auditToken), arguments: arguments)
    ).action
  }

  static let seen = [
    CallFact(.x86_64, "openat"), CallFact(.x86_64, "socket", values: [2]), CallFact(.x86_64, "ioctl", values: [0x1234]),
    CallFact(.x86_64, "personality", values: [0xffff_ffff]), CallFact(.x86_64, "clone3", values: [0x3d0f00]),
  ]

  @Test("calls that were made pass, the others are refused")
  func exact() throws {
    #expect(try Self.answer(Self.seen, "openat") == .allow)
    for name in [
      "mount", "ptrace", "unlinkat", "connect", "bpf", "keyctl", "process_vm_readv", "io_uring_setup", "fork",
    ] {
      #expect(try Self.answer(Self.seen, name) == .errno(1), "\(name)")
    }
    for name in ["execve", "execveat", "exit_group", "rt_sigreturn", "wait4", "futex"] {
      #expect(try Self.answer(Self.seen, name) == .allow, "\(name)")
    }
  }

  /// The kernel looks at the low half of these arguments only: junk in the high half must neither open nor close the door.
  @Test("arguments are fixed where another value is another call", arguments: [0, 0xdead_beef_0000_0000] as [UInt64])
  func arguments(_ junk: UInt64) throws {
    #expect(try Self.answer(Self.seen, "socket", [junk | 2, 1, 0]) == .allow)
    for family in [1, 10, 16, 17, 38] as [UInt64] {
      #expect(try Self.answer(Self.seen, "socket", [junk | family, 1, 0]) == .errno(1))
    }
    #expect(try Self.answer(Self.seen, "ioctl", [0, junk | 0x1234]) == .allow)
    #expect(try Self.answer(Self.seen, "ioctl", [0, junk | 0x5401]) == .allow)
    // TIOCSTI and TIOCLINUX type into the terminal.
    #expect(try Self.answer(Self.seen, "ioctl", [0, junk | 0x5412]) == .errno(1))
    #expect(try Self.answer(Self.seen, "ioctl", [0, junk | 0x541c]) == .errno(1))
    #expect(try Self.answer(Self.seen, "personality", [junk | 0xffff_ffff]) == .allow)
    #expect(try Self.answer(Self.seen, "personality", [junk | 0x40000]) == .errno(1))
    #expect(try Self.answer(Self.seen, "prctl", [junk | 22]) == .errno(1))
  }

  @Test("threads fall back from clone3, which a filter cannot look into, to a clone without namespaces")
  func threads() throws {
    #expect(try Self.answer(Self.seen, "clone3") == .errno(38))
    #expect(try Self.answer(Self.seen, "clone", [0x3d0f00]) == .allow)
    for flag in [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000] as [UInt64]
    {
      #expect(try Self.answer(Self.seen, "clone", [flag | 17]) == .errno(1))
    }
    let namespaces = [CallFact(.x86_64, "clone3", values: [0x1000_0000])]
    #expect(try Self.answer(namespaces, "clone3") == .allow)
    let clone = [CallFact(.x86_64, "clone", values: [0x1000_0011])]
    #expect(try Self.answer(clone, "clone", [0x1000_0011]) == .allow)
    #expect(try Self.answer(clone, "clone", [0x4000_0011]) == .errno(1))
  }

  @Test("a foreign architecture is served only where it was used")
  func architectures() throws {
    func answer(_ calls: [CallFact]) throws -> Action {
      let program = try Self.profile(calls).compile(for: .x86_64)
      let number = try #require(SyscallTable.number(of: "getpid", architecture: .x86))
      return try Simulator.run(
        program.instructions, SeccompData(number: number, architecture: try #require(Architecture.x86.auditToken))
      ).action
    }
    #expect(try answer(Self.seen) == .killProcess)
    #expect(try answer(Self.seen + [CallFact(.x86, "getpid")]) == .allow)
  }

  @Test("too many values let the call through whole, and that is said")
  func values() throws {
    let calls = [CallFact(.x86_64, "ioctl", values: nil)]
    #expect(try Self.answer(calls, "ioctl", [0, 0x9999]) == .allow)
    #expect(ProfileDraft(DraftTests.facts { $0.calls = calls }).notes.contains { $0.contains("ioctl") })
  }

  @Test("the drafts compile on every machine", arguments: [Architecture.x86_64, .arm64, .riscv64])
  func machines(_ machine: Architecture) throws {
    let names = SyscallTable.calls(of: machine).map { CallFact(machine, $0.name) }
    let profile = try Self.profile(names)
    #expect(try !profile.compile(for: machine).instructions.isEmpty)
  }
}
