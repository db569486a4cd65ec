import Formats
import Policy
import Testing

@Suite("Options that are rules")
struct OptionTests {
  static func error(_ option: PolicyOption, _ text: String, before: Policy = Policy()) -> String {
    var policy = before
    do {
      try policy.apply(option, text, surroundings: OptionSurroundings(folder: "/home/u/w"))
      return "accepted"
    } catch {
      #expect(policy == before, "a refused option changes nothing")
      return error.description
    }
  }

  @Test(
    "limits take Docker's words",
    arguments: [
      (PolicyOption.memory, "256m", 256 << 20, "256 MiB"), (.memory, "1.5g", 3 << 29, "1536 MiB"),
      (.memory, "2GiB", 2 << 30, "2 GiB"), (.memory, "1048577", 1_048_577, "1048577 B"),
      (.cpus, "1.5", 1500, "1.5"), (.cpus, "0.01", 10, "0.01"), (.pids, "128", 128, "128"),
      (.openFiles, "1024", 1024, "1024"), (.coreSize, "0", 0, "0 B"), (.fileSize, "10k", 10240, "10 KiB"),
      (.scratch, "64m", 64 << 20, "64 MiB"), (.log, "1m", 1 << 20, "1 MiB"), (.timeout, "30s", 30000, "30s"),
      (.timeout, "1h30m", 5_400_000, "90m"), (.timeout, "45", 45000, "45s"), (.output, "10m", 10 << 20, "10 MiB"),
      (.cpuTime, "1500ms", 1500, "1500ms"), (.diskBytes, "1m", 1 << 20, "1 MiB/s"),
      (.diskOperations, "100", 100, "100/s"),
    ] as [(PolicyOption, String, UInt64, String)])
  func limits(option: PolicyOption, text: String, value: UInt64, shown: String) throws {
    var policy = Policy()
    try policy.apply(option, text)
    let name = try #require(option.limit)
    #expect(policy.limits[name] == Setting(value, .option(option.rawValue)))
    let rule = try #require(policy.rules.first { $0.name == "limits." + name.rawValue })
    #expect(rule.value == shown)
    #expect(rule.origin.isBinding)
    try policy.apply(option, "unlimited")
    #expect(policy.limits[name] == nil)
  }

  @Test("each limit has its option, and each option is applied", arguments: PolicyOption.allCases)
  func everyOption(option: PolicyOption) throws {
    let texts: [PolicyOption: String] = [
      .atLeast: "container", .volume: "/srv:/srv", .hide: "/srv/x", .network: "user", .publish: "80:80",
      .allowPrivate: "",
      .processes: "host", .userNamespace: "host", .systemCalls: "strict", .securityOption: "seccomp=unconfined",
      .device: "/dev/fuse",
      .environment: "A=b", .resourceLimit: "nofile=64", .memory: "1g", .timeout: "3s", .cpuTime: "3s", .scratch: "8k",
      .log: "8k",
    ]
    var policy = Policy()
    policy.network = Setting(.user(ports: [], allowPrivate: false))
    let before = policy
    try policy.apply(option, texts[option] ?? "7")
    #expect(policy != before)
  }

  @Test("every limit is an option")
  func limitOptions() {
    for name in LimitName.allCases { #expect(name.option.limit == name) }
  }

  @Test(
    "malformed values are named with what is accepted",
    arguments: [
      (
        PolicyOption.memory, "12x",
        "--memory: \"12x\" is not a size: write bytes, or a number with k, m, g or t (\"256m\"), or \"unlimited\""
      ),
      (.memory, "", "--memory: is not a size"), (.memory, "-1", "--memory: \"-1\" is not a size"),
      (.memory, "0", "--memory: \"0\" is too small: at least 1 MiB, or \"unlimited\""),
      (.memory, "99999999t", "is not a size"), (.memory, "9000000t", "is too large"),
      (.memory, "1 \u{1B}[2J", "\\u{1b}"),
      (.cpus, "one", "is not a number of CPUs"), (.cpus, "0", "is too small: at least 0.01"),
      (.pids, "1.5", "is not a whole number"), (.pids, "0", "is too small"), (.pids, "+5", "is not a whole number"),
      (.timeout, "soon", "is not a time"), (.timeout, "0", "is too small"), (.timeout, "5y", "is not a time"),
      (.scratch, "0", "--read-only"),
      (.atLeast, "jial", "\"jial\" is not a wall: jail, container, sentry, microvm, emulator"),
      (.network, "bridge", "\"bridge\" is not supported: \"user\""),
      (.network, "off", "is not a network: none, host or user"),
      (.allowPrivate, "", "needs --network user"),
      (.userNamespace, "keep-id", "is neither \"auto\" nor \"host\""), (.processes, "container:x", "is neither"),
      (.securityOption, "apparmor=x", "is not supported"), (.securityOption, "secomp=x", "is not a security option"),
      (.securityOption, "no-new-privileges=maybe", "is neither"), (.device, "/dev/fuse:/dev/x", "not supported"),
      (.device, "/etc/passwd", "is not in /dev"), (.device, "fuse", "is not an absolute path"),
      (.environment, "=x", "is not NAME=value"), (.environment, "A B=x", "has a blank"),
      (.environment, "A=\0", "zero byte"),
      (.resourceLimit, "nproc=5", "--pids"), (.resourceLimit, "nofile=5:10", "soft limit"),
      (.resourceLimit, "x=5", "getrlimit"),
      (.resourceLimit, "nofile", "is not NAME=NUMBER"), (.resourceLimit, "nofile=1k", "is not NAME=NUMBER"),
      (.hide, "x", "is not an absolute path"), (.hide, "/a/../b", "\"..\""),
    ] as [(PolicyOption, String, String)])
  func malformed(option: PolicyOption, text: String, expected: String) {
    let message = Self.error(option, text)
    #expect(message.contains(expected), "\(message)")
    #expect(!message.contains("\n"))
  }

  @Test(
    "volumes",
    arguments: [
      ("/srv:/data", FileRule(.write, "/srv", at: "/data")), ("/srv:/data:ro", FileRule(.read, "/srv", at: "/data")),
      ("/srv:/data:rw", FileRule(.write, "/srv", at: "/data")),
      ("/srv//x/.:/data/", FileRule(.write, "/srv/x", at: "/data")),
      ("/srv", FileRule(.write, "/srv")), (".:/data", FileRule(.write, "/home/u/w", at: "/data")),
      ("./a:/data", FileRule(.write, "/home/u/w/a", at: "/data")),
      ("../a:/data", FileRule(.write, "/home/u/a", at: "/data")),
      ("../../b:/d", FileRule(.write, "/home/b", at: "/d")),
      ("/run/x.sock:/x.sock:ro,sockets", FileRule(.read, "/run/x.sock", at: "/x.sock", sockets: true)),
      ("/runner:/data", FileRule(.write, "/runner", at: "/data")),
    ])
  func volumes(text: String, rule: FileRule) throws {
    let setting = try FileRule.volume(text, option: "-v", relativeTo: "/home/u/w")
    #expect(setting == Setting(rule, .option("-v")))
  }

  @Test(
    "volumes that are refused",
    arguments: [
      ("data:/data", "names a volume, which is not supported: write a path of the host (./…)"),
      (":/data", "is not SRC:DST"),
      ("/srv:/data:ro:x", "is not SRC:DST"), ("/srv:data", "is not an absolute path"),
      ("/srv:/", "would replace the root"),
      ("/srv:/proc/sys", "belongs to the kernel"), ("/srv:/sys", "belongs to the kernel"),
      ("/srv:/data:z", "asks for \"z\""),
      ("/srv:/data:wo", "unknown word"), ("/srv/../etc:/x", "\"..\""), ("./a/../b:/x", "\"..\""),
      ("../../../../x:/x", "\"..\""),
      ("/run/docker.sock:/d", "services"), ("/var/run:/d", "services"), ("/run/user/1000/bus:/b:ro", "services"),
      ("/:/host:ro", "services"), ("/var:/host:ro", "services"), ("", "is not SRC:DST"),
      ("a\nb:/x", "\"a\\nb:/x\" names a volume"),
    ])
  func refusedVolumes(text: String, expected: String) {
    let message = Self.error(.volume, text)
    #expect(message.contains(expected), "\(message)")
  }

  @Test(
    "ports",
    arguments: [
      ("8080:80", PortForward(hostPort: 8080, boxPort: 80)),
      ("53:5353/udp", PortForward(hostPort: 53, boxPort: 5353, udp: true)),
      ("127.0.0.1:8080:80/tcp", PortForward(address: "127.0.0.1", hostPort: 8080, boxPort: 80)),
      ("[::1]:8080:80", PortForward(address: "::1", hostPort: 8080, boxPort: 80)),
      ("[fe80::1:2]:1:65535/udp", PortForward(address: "fe80::1:2", hostPort: 1, boxPort: 65535, udp: true)),
    ])
  func ports(text: String, port: PortForward) throws {
    #expect(try PortForward.parse(text) == port)
    #expect(try PortForward.parse(port.text) == port)
  }

  @Test(
    "ports that are refused",
    arguments: [
      ("80", "does not name the host's port"), ("80:", "is not a number from 1 to 65535"), ("0:80", "from 1 to 65535"),
      ("80:65536", "from 1 to 65535"), ("8000-8010:80-90", "a range of ports"), ("80:80/sctp", "neither tcp nor udp"),
      ("::1:80:80", "is not [ADDRESS:]"), ("[::1:80:80", "is not [ADDRESS:]"), ("[x]:80:80", "no IPv6 address"),
      ("localhost:80:80", "neither IPv4 nor IPv6"), ("256.0.0.1:80:80", "neither IPv4"),
      ("01.0.0.1:80:80", "neither IPv4"),
      ("", "does not name"), ("-1:80", "a range"), ("80:+80", "from 1 to 65535"),
    ])
  func refusedPorts(text: String, expected: String) {
    #expect(throws: PolicyError.self) { try PortForward.parse(text) }
    do { _ = try PortForward.parse(text) } catch { #expect(error.description.contains(expected), "\(error)") }
  }

  @Test("ports count for the network chosen in any order, and once each")
  func portOrder() throws {
    var policy = Policy()
    try policy.apply(
      [
        (.publish, "8080:80", "-p"), (.allowPrivate, "", "--allow-private"), (.network, "user", "--network"),
        (.publish, "53:53/udp", "-p"),
      ],
      surroundings: OptionSurroundings())
    #expect(
      policy.network.value
        == .user(
          ports: [PortForward(hostPort: 8080, boxPort: 80), PortForward(hostPort: 53, boxPort: 53, udp: true)],
          allowPrivate: true))
    #expect(
      Self.error(.publish, "127.0.0.1:8080:81", before: policy).contains("takes the host's port of \"8080:80\" again"))
    try policy.apply(.publish, "53:53")
    try policy.apply(.network, "none")
    #expect(policy.network == Setting(.none, .option("--network")))
    #expect(Self.error(.publish, "80:80", before: policy).contains("--publish: \"80:80\" needs --network user"))
    var implied = Policy()
    try implied.apply(.publish, "80:80", spelled: "-p")
    #expect(
      implied.network
        == Setting(.user(ports: [PortForward(hostPort: 80, boxPort: 80)], allowPrivate: false), .option("-p")))
  }

  @Test(
    "capabilities as Docker reads them",
    arguments: [
      ([], ["ALL"], 0), (["CAP_NET_ADMIN"], ["all"], 1 << 12), (["sys_ptrace"], [], 0xA804_25FB | 1 << 19),
      ([], ["chown", "CAP_KILL"], 0xA804_25FB & ~0x21), (["ALL"], ["SYS_ADMIN"], ((1 << 41) - 1) & ~(1 << 21)),
      (["chown"], ["chown"], 0xA804_25FB),
    ] as [([String], [String], UInt64)])
  func capabilities(adding: [String], dropping: [String], mask: UInt64) throws {
    var policy = Policy()
    try policy.applyCapabilities(adding: adding, dropping: dropping)
    #expect(policy.processes.capabilities?.value == mask)
    #expect(policy.processes.capabilities?.origin.isBinding == true)
  }

  @Test("a capability that is none is named with the nearest")
  func unknownCapability() {
    var policy = Policy()
    #expect(
      throws: PolicyError(
        "is not a capability: did you mean CAP_SYS_PTRACE?", offending: "SYS_PTRASE", subject: "--cap-add",
        origin: .option("--cap-add"))
    ) {
      try policy.applyCapabilities(adding: ["SYS_PTRASE"], dropping: [])
    }
    #expect(policy == Policy())
  }

  @Test("security options and resource limits in Docker's words")
  func security() throws {
    var policy = Policy()
    let here = OptionSurroundings(folder: "/home/u")
    try policy.apply(.securityOption, "seccomp=./p.json", surroundings: here)
    #expect(policy.processes.seccomp.value == "/home/u/p.json")
    try policy.apply(.securityOption, "seccomp:unconfined")
    #expect(policy.processes.seccomp.value == "unconfined")
    try policy.apply(.securityOption, "no-new-privileges:false")
    #expect(policy.processes.newPrivileges.value)
    try policy.apply(.securityOption, "no-new-privileges")
    #expect(!policy.processes.newPrivileges.value)
    try policy.apply(.resourceLimit, "nofile=64:64")
    #expect(policy.limits.openFiles?.value == 64)
    try policy.apply(.resourceLimit, "core=-1")
    #expect(policy.limits.coreSize == nil)
    try policy.apply(.resourceLimit, "cpu=3")
    #expect(policy.limits.cpuTime?.value == 3000)
  }

  @Test("environment: the last one of a name counts, a bare name is the caller's")
  func environment() throws {
    var policy = Policy()
    let here = OptionSurroundings { ["HOME": "/root", "EMPTY": ""][$0] }
    for text in ["A=1", "B=x=y", "A=2", "HOME", "EMPTY", "ABSENT"] {
      try policy.apply(.environment, text, spelled: "-e", surroundings: here)
    }
    #expect(policy.environment.map(\.value) == ["B=x=y", "A=2", "HOME=/root", "EMPTY="])
    try policy.applyEnvironmentFile(
      Array("# note\n\n  C=3 \r\nHOME\nB='q'\nABSENT\n".utf8), path: "vars", surroundings: here)
    #expect(policy.environment.map(\.value) == ["A=2", "EMPTY=", "C=3 ", "HOME=/root", "B='q'"])
    #expect(policy.environment.last?.origin == .file(path: "vars", line: 5))
    do {
      try policy.applyEnvironmentFile(Array("A=1\nnot good\n".utf8), path: "vars")
      Issue.record("accepted")
    } catch {
      #expect(error.description == "vars:2: \"not good\" has a blank or a control character in its name")
    }
    #expect(throws: PolicyError.self) { try policy.applyEnvironmentFile([65, 61, 0xFF], path: "vars") }
  }

  @Test("a later rule for the same place wins")
  func files() throws {
    var policy = Policy()
    policy.set(FileRule(.read, "/a", at: "/x"), .file(path: "p", line: 1))
    try policy.apply(.volume, "/b:/x")
    try policy.apply(.hide, "/y")
    #expect(policy.files.map(\.value) == [FileRule(.write, "/b", at: "/x"), FileRule(.hidden, "/y")])
  }
}
