import Formats
import Policy
import Testing

@Suite("Which wall")
struct WallChoiceTests {
  /// What a made-up machine offers: lacks by wall, and by wall and rule what is not held.
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var options: [(PolicyOption, String)] = []
    var lacks: [WallName: [String]] = [:]
    var losses: [WallName: [String: Enforcement]] = [:]
    var requested: WallName?
    var allowed: [String] = []
    /// The wall taken and its notes' beginnings, or what the refusal must say.
    var expected: Outcome
    var testDescription: String { name }
  }
  enum Outcome: Sendable {
    case taken(WallName, notes: [String])
    case refused([String])
  }

  static let jailLosses: [WallName: [String: Enforcement]] = [
    .jail: ["processes.others": .unenforced("they stay visible in /proc")]
  ]
  static let noNamespaces: [WallName: [String]] = [.container: ["user namespaces are off: run as root"]]
  static let cases: [Case] = [
    Case(name: "the thicker wall first", losses: jailLosses, expected: .taken(.container, notes: [])),
    Case(
      name: "a jail that holds everything is taken where a container is not to be had", lacks: noNamespaces,
      expected: .taken(.jail, notes: [])),
    Case(
      name: "a jail that leaves a built-in rule open is not taken by itself", lacks: noNamespaces, losses: jailLosses,
      expected: .refused([
        "container: user namespaces are off: run as root",
        "jail does not hold processes.others hidden (default): they stay visible in /proc [--wall jail accepts the loss]",
      ])),
    Case(
      name: "--wall jail accepts it, and it is noted", lacks: noNamespaces, losses: jailLosses, requested: .jail,
      expected: .taken(.jail, notes: ["processes.others hidden is not held: they stay visible in /proc"])),
    Case(
      name: "--allow-unenforced accepts it too", lacks: noNamespaces, losses: jailLosses, allowed: ["processes.others"],
      expected: .taken(.jail, notes: ["processes.others hidden is not held"])),
    Case(
      name: "a written limit that is weaker is refused", options: [(.memory, "256m")],
      losses: [
        .container: ["limits.memory": .weaker("RLIMIT_AS, of each process")],
        .jail: ["limits.memory": .unenforced("no cgroup")],
      ],
      expected: .refused([
        "container holds only in part limits.memory 256 MiB (--memory): RLIMIT_AS, of each process [--allow-unenforced limits.memory accepts the loss]",
        "jail does not hold limits.memory",
      ])),
    Case(
      name: "--wall alone does not accept the loss of a written rule", options: [(.memory, "256m")],
      losses: [.jail: ["limits.memory": .unenforced("no cgroup"), "processes.others": .unenforced("seen")]],
      requested: .jail,
      expected: .refused([
        "--wall jail does not hold limits.memory", "[--allow-unenforced limits.memory accepts the loss]",
      ])),
    Case(
      name: "--allow-unenforced does", options: [(.memory, "256m")],
      losses: [.jail: ["limits.memory": .weaker("RLIMIT_AS")]], requested: .jail, allowed: ["limits.memory"],
      expected: .taken(.jail, notes: ["limits.memory 256 MiB is weaker: RLIMIT_AS"])),
    Case(
      name: "built-in limits are best effort",
      losses: [
        .container: ["limits.memory": .weaker("RLIMIT_AS"), "limits.pids": .unenforced("no cgroup")]
      ],
      expected: .taken(
        .container, notes: ["limits.memory 2 GiB is weaker: RLIMIT_AS", "limits.pids 512 is not held: no cgroup"])),
    Case(
      name: "a weaker hold on another built-in rule is noted",
      losses: [.container: ["processes.user_namespace": .weaker("a single id")]],
      expected: .taken(.container, notes: ["processes.user_namespace auto is weaker: a single id"])),
    Case(
      name: "the floor keeps the jail out", options: [(.atLeast, "container")], lacks: noNamespaces,
      expected: .refused([
        "container: user namespaces are off: run as root", "jail: thinner than at_least = \"container\" (--at-least)",
      ])),
    Case(
      name: "the floor refuses a thinner wall by name", options: [(.atLeast, "container")], requested: .jail,
      expected: .refused(["--wall jail is thinner than the policy's at_least = \"container\" (--at-least)"])),
    Case(
      name: "a floor that no wall here reaches", options: [(.atLeast, "microvm")],
      expected: .refused(["container, jail: thinner than at_least = \"microvm\""])),
    Case(
      name: "a wall that is not built", requested: .sentry,
      expected: .refused(["--wall sentry: there is no such wall in this build: container, jail"])),
    Case(
      name: "a wall asked for that cannot be raised", lacks: noNamespaces, requested: .container,
      expected: .refused(["--wall container: user namespaces are off: run as root"])),
    Case(
      name: "a rule that is none", allowed: ["limits.memroy"],
      expected: .refused(["--allow-unenforced: \"limits.memroy\" is not a rule: did you mean limits.memory?"])),
  ]

  @Test(arguments: cases)
  func choice(_ test: Case) throws {
    var policy = Policy.untrusted(memoryBytesOfHost: 8 << 30)
    for (option, text) in test.options { try policy.apply(option, text) }
    var asked: [WallName] = []
    func consider(_ wall: WallName) -> WallCandidate {
      asked.append(wall)
      return WallCandidate(
        lacks: test.lacks[wall] ?? [],
        judged: policy.rules.map { ($0, test.losses[wall]?[$0.name] ?? .enforced("something")) })
    }
    do {
      let choice = try WallChoice.choose(
        for: policy, order: [.container, .jail], requested: test.requested, allowed: test.allowed, consider: consider)
      guard case .taken(let wall, let notes) = test.expected else {
        Issue.record("\(choice.wall) was taken")
        return
      }
      #expect(choice.wall == wall)
      #expect(choice.notes.count == notes.count)
      for (note, start) in zip(choice.notes, notes) { #expect(note.hasPrefix(start), "\(note)") }
      #expect(choice.judged.count == policy.rules.count)
      #expect(asked.last == wall, "no wall is asked after the one taken")
    } catch {
      guard case .refused(let parts) = test.expected else {
        Issue.record("refused: \(error)")
        return
      }
      for part in parts { #expect(error.description.contains(part), "\(error)") }
      #expect(!error.description.contains("\n"))
    }
  }

  @Test("every rule a policy can have has a name that --allow-unenforced takes")
  func names() throws {
    var policy = Policy.untrusted(memoryBytesOfHost: 0)
    policy.network = Setting(.user(ports: [], allowPrivate: false))
    for (option, text) in [
      (PolicyOption.volume, "/a:/a"), (.volume, "/b:/b:ro"), (.hide, "/c"), (.device, "/dev/fuse"),
      (.environment, "A=b"), (.systemCalls, "strict"),
      (.timeout, "1s"), (.output, "1m"), (.cpuTime, "1s"), (.cpus, "1"), (.diskBytes, "1m"), (.diskOperations, "5"),
    ] { try policy.apply(option, text) }
    #expect(Set(policy.rules.map(\.name)) == Set(WallChoice.ruleNames))
  }
}
