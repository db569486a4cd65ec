import Foundation
import Policy
import Testing

@Suite("Policy files")
struct PolicyFileTests {
  static func read(_ text: String, over base: Policy = Policy(), folder: String? = "/etc/immure") throws(PolicyError)
    -> Policy
  {
    try PolicyFile.read(Array(text.utf8), path: "p.toml", folder: folder, over: base)
  }
  static func line(_ number: Int) -> Origin { .file(path: "p.toml", line: number) }

  @Test("every key")
  func everyKey() throws {
    let policy = try Self.read(
      """
      at_least = "container"
      devices = ["/dev/fuse", "/dev/net/tun"]

      [files]
      read = ["/srv/data", "/srv/in:/in"]
      write = [
        "/srv/out:/out",
        { path = "/srv/a:b", at = "/ab" },
        { path = "/run/x.sock", sockets = true },
      ]
      hidden = ["/etc/hostname"]

      [network]
      mode = "user"
      ports = ["8080:80", "127.0.0.1:53:53/udp"]
      allow_private = true

      [processes]
      new_privileges = true
      capabilities = ["CAP_NET_BIND_SERVICE", "chown"]
      seccomp = "profile.json"
      user_namespace = "host"
      others = "visible"

      [limits]
      memory = "256m"
      cpus = 1.5
      pids = 100
      open_files = "1024"
      core_size = 0
      file_size = 1048576
      scratch = "64m"
      log = "1m"
      timeout = "30s"
      output = "10m"
      cpu_time = 20
      disk_bps = "1m"
      disk_iops = 100

      [environment]
      LANG = "C.UTF-8"
      EMPTY = ""
      """)
    #expect(policy.floor == Setting(.container, Self.line(1)))
    #expect(
      policy.devices == [
        Setting(DevicePath("/dev/fuse"), Self.line(2)), Setting(DevicePath("/dev/net/tun"), Self.line(2)),
      ])
    #expect(
      policy.files == [
        Setting(FileRule(.read, "/srv/data"), Self.line(5)),
        Setting(FileRule(.read, "/srv/in", at: "/in"), Self.line(5)),
        Setting(FileRule(.write, "/srv/out", at: "/out"), Self.line(7)),
        Setting(FileRule(.write, "/srv/a:b", at: "/ab"), Self.line(8)),
        Setting(FileRule(.write, "/run/x.sock", sockets: true), Self.line(9)),
        Setting(FileRule(.hidden, "/etc/hostname"), Self.line(11)),
      ])
    #expect(
      policy.network
        == Setting(
          .user(
            ports: [
              PortForward(hostPort: 8080, boxPort: 80),
              PortForward(address: "127.0.0.1", hostPort: 53, boxPort: 53, udp: true),
            ], allowPrivate: true), Self.line(14)))
    #expect(policy.processes.newPrivileges == Setting(true, Self.line(19)))
    #expect(policy.processes.capabilities == Setting(1 << 10 | 1, Self.line(20)))
    #expect(policy.processes.seccomp == Setting("/etc/immure/profile.json", Self.line(21)))
    #expect(policy.processes.userNamespace == Setting(.host, Self.line(22)))
    #expect(policy.processes.seesHostProcesses == Setting(true, Self.line(23)))
    let limits: [(LimitName, UInt64)] = [
      (.memory, 256 << 20), (.cpus, 1500), (.pids, 100), (.openFiles, 1024), (.coreSize, 0), (.fileSize, 1 << 20),
      (.scratch, 64 << 20), (.log, 1 << 20), (.timeout, 30000), (.output, 10 << 20), (.cpuTime, 20000),
      (.diskBytesPerSecond, 1 << 20), (.diskOperationsPerSecond, 100),
    ]
    #expect(limits.count == LimitName.allCases.count)
    for (index, (name, value)) in limits.enumerated() {
      #expect(policy.limits[name] == Setting(value, Self.line(26 + index)), "\(name)")
    }
    #expect(policy.environment == [Setting("LANG=C.UTF-8", Self.line(41)), Setting("EMPTY=", Self.line(42))])
    #expect(policy.rules.allSatisfy { $0.origin.isBinding })
  }

  @Test("options win over the file, the file over the built-in")
  func precedence() throws {
    var policy = try Self.read(
      "[limits]\nmemory = \"1g\"\npids = \"unlimited\"\n[files]\nread=[\"/a:/x\"]\n[environment]\nA=\"1\"",
      over: .untrusted(memoryBytesOfHost: 8 << 30))
    #expect(policy.limits.memory == Setting(1 << 30, Self.line(2)))
    #expect(policy.limits.pids == nil)
    #expect(policy.limits.openFiles == Setting(4096))
    try policy.apply(.memory, "2g")
    try policy.apply(.volume, "/b:/x")
    try policy.apply(.environment, "A=2")
    #expect(policy.limits.memory == Setting(2 << 30, .option("--memory")))
    #expect(policy.files == [Setting(FileRule(.write, "/b", at: "/x"), .option("--volume"))])
    #expect(policy.environment == [Setting("A=2", .option("--env"))])
  }

  @Test("a file's network replaces what stood before, and an option keeps the file's ports")
  func network() throws {
    var base = Policy()
    base.network = Setting(.user(ports: [PortForward(hostPort: 1, boxPort: 1)], allowPrivate: true))
    let policy = try Self.read("network = \"user\"", over: base)
    #expect(policy.network == Setting(.user(ports: [], allowPrivate: false), Self.line(1)))
    var other = try Self.read("[network]\nmode=\"user\"\nports=[\"80:80\"]")
    try other.apply(.network, "user")
    try other.apply(.publish, "81:81")
    #expect(
      other.network.value
        == .user(
          ports: [PortForward(hostPort: 80, boxPort: 80), PortForward(hostPort: 81, boxPort: 81)], allowPrivate: false))
  }

  @Test(
    "one line that names place, text and what is accepted",
    arguments: [
      ("[limits]\nmemroy = \"1g\"", "p.toml:2: limits: \"memroy\" is not a key of a policy: did you mean memory?"),
      ("\n\nfoo = 1", "p.toml:3: \"foo\" is not a key of a policy: known are at_least, files, network"),
      ("limit = 3", "p.toml:1: \"limit\" is not a key of a policy: did you mean limits?"),
      (
        "[network]\nmode=\"user\"\ndomains = [\"a.org\"]",
        "p.toml:3: network.domains: not supported yet: an allowlist of domains"
      ),
      ("[network]\ncidrs = []", "p.toml:2: network.cidrs: not supported yet"),
      ("[secrets]\nTOKEN=\"x\"", "secrets: not supported yet: handing secrets"),
      ("[limits]\n\nmemory = \"12x\"", "p.toml:3: limits.memory: \"12x\" is not a size: write bytes"),
      (
        "[limits]\nmemory = true", "p.toml:2: limits.memory: \"true\" is a boolean where a number or a string should be"
      ),
      ("[limits]\npids = -1", "limits.pids: \"-1\" is not a whole number"),
      ("[limits]\npids = 1e30", "limits.pids: \"1e+30\""),
      ("[limits]\ncpus = nan", "limits.cpus: \"nan\""),
      ("limits = 3", "limits: \"3\" is an integer where a table with memory"),
      ("at_least = \"jial\"", "p.toml:1: at_least: \"jial\" is not a wall: jail, container"),
      ("at_least = 3", "at_least: \"3\" is an integer where a string should be"),
      ("network = \"on\"", "network: \"on\" is not a network: none, host or user"),
      ("network = 3", "where \"none\", \"host\""),
      ("[network]\nports=[\"80:80\"]", "p.toml:1: network: has no mode"),
      ("[network]\nmode=\"host\"\nports=[\"80:80\"]", "p.toml:3: network.ports: needs mode = \"user\""),
      ("[network]\nmode=\"user\"\nports=[\"80\"]", "p.toml:3: network.ports[0]: \"80\" does not name the host's port"),
      (
        "[network]\nmode=\"user\"\nallow_private=\"yes\"",
        "network.allow_private: \"yes\" is a string where true or false"
      ),
      ("[files]\nread = \"/a\"", "files.read: \"/a\" is a string where an array of paths"),
      ("[files]\nread = [\"a\"]", "p.toml:2: files.read[0]: \"a\" is not an absolute path"),
      ("[files]\nread = [\"/a:/b:/c\"]", "has two colons"), ("[files]\nread = [\"/a/../b\"]", "\"..\""),
      ("[files]\nread = [3]", "is an integer where a path or a table"),
      ("[files]\nread = [{at = \"/x\"}]", "has no path"),
      ("[files]\nread = [{path = \"/a\", a = \"/x\"}]", "\"a\" is not a key of a policy"),
      (
        "[files]\nread = [\"/a:/x\"]\nwrite = [\n\"/b:/x\"]",
        "p.toml:4: files.write[0]: \"/x\" already has a rule on line 2"
      ),
      (
        "[files]\nread = [\"/run/docker.sock\"]",
        "\"/run/docker.sock\" would let the box talk to the host's services through their sockets: write { path = …, sockets = true }"
      ),
      ("[files]\nhidden = [\"x\"]", "files.hidden[0]: \"x\" is not an absolute path"),
      (
        "[processes]\ncapabilities = [\"CAP_CHWON\"]",
        "processes.capabilities[0]: \"CAP_CHWON\" is not a capability: did you mean CAP_CHOWN?"
      ),
      ("[processes]\ncapabilities = [\"ALL\"]", "\"ALL\" is not a capability"),
      ("[processes]\nothers = \"seen\"", "is neither \"hidden\" nor \"visible\""),
      ("[processes]\nnew_privileges = 1", "is an integer where true or false"),
      ("[processes]\nuser_namespace = \"x\"", "is neither \"auto\" nor \"host\""),
      ("devices = [\"/etc/passwd\"]", "devices[0]: \"/etc/passwd\" is not in /dev"),
      ("[environment]\nA = 1", "environment.A: \"1\" is an integer where a string"),
      ("[environment]\n\"A=B\" = \"x\"", "has = in its name"), ("environment = []", "where a table of NAME"),
      ("[limits]\nmemory = \"1g\"\nmemory = \"2g\"", "p.toml:3"), ("[limits", "p.toml:1"),
      ("a = \"\u{7}\"", "p.toml:1"),
    ])
  func malformed(text: String, expected: String) {
    do {
      _ = try Self.read(text)
      Issue.record("accepted")
    } catch {
      #expect(error.description.contains(expected), "\(error)")
      #expect(error.description.hasPrefix("p.toml:"))
      #expect(!error.description.contains("\n"))
    }
  }

  @Test("a relative seccomp profile needs the file's folder, and a file has a largest size")
  func edges() {
    #expect(throws: PolicyError.self) { try Self.read("[processes]\nseccomp=\"x.json\"", folder: nil) }
    #expect(throws: PolicyError.self) {
      try PolicyFile.read([UInt8](repeating: 35, count: PolicyFile.largest + 1), path: "p", over: Policy())
    }
    #expect(throws: PolicyError.self) { try PolicyFile.read([0xFF, 0xFE], path: "p", over: Policy()) }
  }

  // MARK: Those that ship

  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../policies")
    .standardized

  static func shipped(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: folder.appending(path: name + ".toml")))
  }

  @Test("untrusted.toml says what is built in")
  func untrusted() throws {
    let builtIn = Policy.untrusted(memoryBytesOfHost: 64 << 30)
    let file = try PolicyFile.read(try Self.shipped("untrusted"), path: "untrusted.toml", over: Policy())
    func told(_ policy: Policy) -> [String] { policy.rules.map { "\($0.name) \($0.value)" } }
    #expect(told(file) == told(builtIn))
    #expect(file.floor == nil && builtIn.floor == nil)
    #expect(builtIn.rules.allSatisfy { !$0.origin.isBinding })
    // Every rule is in the file but the capabilities, whose default has no key.
    #expect(file.rules.filter { !$0.origin.isBinding }.map(\.name) == ["processes.capabilities"])
  }

  @Test(arguments: [(0, 2 << 30), (1 << 30, 1 << 29), (4 << 30, 2 << 30), (64 << 30, 2 << 30)] as [(UInt64, UInt64)])
  func memoryDefault(host: UInt64, limit: UInt64) {
    #expect(Policy.untrusted(memoryBytesOfHost: host).limits.memory == Setting(limit))
  }

  @Test("each file in policies/ is read", arguments: ["untrusted", "build", "inspect"])
  func ships(name: String) throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).filter { $0.hasSuffix(".toml") }
    #expect(Set(files) == ["untrusted.toml", "build.toml", "inspect.toml"])
    let policy = try PolicyFile.read(try Self.shipped(name), path: name, over: .untrusted(memoryBytesOfHost: 8 << 30))
    #expect(policy.limits.memory?.origin.isBinding == true)
    #expect(!policy.processes.newPrivileges.value)
  }

  // MARK: The page about them

  static func page() throws -> String {
    try String(contentsOf: folder.appending(path: "../docs/policy.md").standardized, encoding: .utf8)
  }

  @Test("docs/policy.md shows every key, in files that are read")
  func documented() throws {
    let parts = try Self.page().components(separatedBy: "```")
    let examples = parts.filter { $0.hasPrefix("toml\n") }.map { String($0.dropFirst(5)) }
    #expect(!examples.isEmpty)
    var seen: Set<String> = []
    for example in examples {
      let policy = try Self.read(example)
      seen.formUnion(policy.rules.filter { $0.origin.isBinding }.map(\.name))
      #expect(policy.floor != nil)
    }
    #expect(seen == Set(WallChoice.ruleNames))
  }

  @Test("docs/policy.md names every rule and every policy that ships")
  func documentedNames() throws {
    let page = try Self.page()
    for name in WallChoice.ruleNames where !name.hasPrefix("limits.") { #expect(page.contains("`\(name)`"), "\(name)") }
    for name in LimitName.allCases { #expect(page.contains("\n\(name.rawValue) = "), "\(name)") }
    for name in ["untrusted", "build", "inspect"] { #expect(page.contains(name)) }
  }
}
