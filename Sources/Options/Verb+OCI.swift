extension Verb {
  /// What stands before the verb: the flags that every client of an OCI runtime may pass.
  public static let ociGlobal = Verb(
    "oci", "VERB [OPTION…] [OPERAND…]", count: 0...(.max),
    "Speak as an OCI runtime does, to podman, Docker and containerd",
    discussion: """
      The verbs and options of an OCI runtime, as runc has them, over the walls. The links `immure-oci`, `immure-container`, \
      `immure-jail` and `immure-sentry` speak them too: the latter three take that wall for every bundle. A bundle's annotation `dev.immure.wall` names \
      another one. Containers are kept apart from what `immure run` keeps: under /run/immure-oci for root, else under \
      $XDG_RUNTIME_DIR/immure-oci.
      """,
    stopsAtOperand: true,
    groups: [
      OptionGroup(
        "Before the verb",
        [
          Option("log", value: "FILE", "Where failures are written, besides standard error"),
          Option("log-format", value: "text|json", "How they are written (text)"),
          Option("log-level", value: "LEVEL", "Taken and not used: failures are always written, nothing else is"),
          Option(
            "systemd-cgroup",
            "Control groups as systemd's scopes, cgroupsPath being SLICE:PREFIX:NAME; refused where systemd does not run"
          ),
          Option("rootless", value: "true|false|auto", "Taken and not used: whether root is meant is seen"),
          Option("criu", value: "FILE", "Taken and not used: there is no checkpoint"),
          Option("version", "v", "Say which immure this is, and which specification it keeps"),
        ])
    ], examples: [Example("immure oci list", "the containers that another program made with it")])

  static let container = "CONTAINER"
  private static let bundle = Option("bundle", "b", value: "DIR", "The bundle's folder (the current one)")
  private static let consoleSocket = Option(
    "console-socket", value: "FILE", "A Unix socket that is sent the near end of the container's terminal")
  private static let pidFile = Option("pid-file", value: "FILE", "Where the pid of the first process is written")
  private static let preserve = Option(
    "preserve-fds", value: "NUMBER", "So many descriptors from 3 up go to the container's process")
  private static let creation = [
    bundle, consoleSocket, pidFile, preserve,
    Option("no-pivot", "Refused: the root is always entered by pivot_root"),
    Option("no-new-keyring", "Keep the caller's session keyring (refused: a container never has the host's keys)"),
  ]

  static let ociCreate = Verb(
    "oci create", container, count: 1...1, "Make a container of a bundle, all but run its program",
    groups: [OptionGroup("How", creation)],
    examples: [Example("immure oci create --bundle /tmp/box box1", "waits for start")])

  static let ociStart = Verb("oci start", container, count: 1...1, "Run the program of a container that was created")

  static let ociRun = Verb(
    "oci run", container, count: 1...1, "Create a container, start it, wait for its end and delete it",
    groups: [
      OptionGroup(
        "How",
        creation + [
          Option("detach", "d", "Do not wait for its end"),
          Option("keep", "Do not delete it when it ends"),
          Option("no-subreaper", "Taken: immure never makes itself a subreaper"),
        ])
    ])

  static let ociExec = Verb(
    "oci exec", "CONTAINER [COMMAND [ARGUMENT…]]", count: 1...(.max), "Run a further program in a container",
    stopsAtOperand: true,
    groups: [
      OptionGroup(
        "How",
        [
          Option("process", "p", value: "FILE", "The program as JSON, the specification's `process`"),
          Option("detach", "d", "Do not wait for its end"),
          consoleSocket, pidFile, preserve,
          Option("no-subreaper", "Taken: immure never makes itself a subreaper"),
          Option("ignore-paused", "Also in a paused container, where it waits until that is resumed"),
        ]),
      OptionGroup(
        "The program, without --process",
        [
          Option("tty", "t", "Give it a terminal"),
          Option("cwd", value: "DIR", "Where it starts"),
          Option("env", "e", value: "NAME=VALUE", repeats: true, "An environment variable besides the container's"),
          Option("user", "u", value: "UID[:GID]", "Who it is inside; numbers only"),
          Option("additional-gids", "g", value: "GID", repeats: true, "A further group"),
          Option("cap", "c", value: "CAPABILITY", repeats: true, "A capability besides the container's"),
          Option("no-new-privs", "It can gain no privileges"),
          Option("apparmor", value: "PROFILE", "Refused: there is no AppArmor here"),
          Option("process-label", value: "LABEL", "Refused: there is no SELinux here"),
          Option("cgroup", value: "PATH", "Refused: it joins the container's own groups"),
        ]),
    ])

  static let ociState = Verb("oci state", container, count: 1...1, "Print a container's state as JSON")

  static let ociKill = Verb(
    "oci kill", "CONTAINER [SIGNAL]", count: 1...2,
    "Send a signal, by its name or number, to a container's first process (TERM)",
    groups: [OptionGroup("Whom", [Option("all", "a", "Every process of the container")])])

  static let ociDelete = Verb(
    "oci delete", container, count: 1...1, "Remove a container that has ended, and all it held",
    groups: [OptionGroup("How", [Option("force", "f", "End it first where it runs; no error where it is not there")])]
  )

  /// Every verb of the OCI runtime, "oci create" and so on.
  public static let oci: [Verb] = [
    ociCreate,
    ociStart,
    ociRun,
    ociExec,
    ociState,
    Verb(
      "oci list", "", "List the containers",
      groups: [
        OptionGroup(
          "Listing", [Option("format", "f", value: "table|json", "How to print"), Option("quiet", "q", "Ids only")])
      ]),
    ociKill,
    ociDelete,
    Verb("oci pause", container, count: 1...1, "Stop a container's time"),
    Verb("oci resume", container, count: 1...1, "Let a paused container go on"),
    Verb(
      "oci update", container, count: 1...1, "Change the limits of a container",
      groups: [
        OptionGroup(
          "Limits",
          [
            Option(
              "resources", "r", value: "FILE",
              "All of them as JSON, the specification's `resources`; - is standard input"),
            Option("memory", value: "BYTES", "Memory"),
            Option("memory-reservation", value: "BYTES", "Memory that is taken back first when it is short"),
            Option("memory-swap", value: "BYTES", "Memory and swap together"),
            Option("cpu-share", value: "NUMBER", "Weight against other groups, 1024 by default"),
            Option("cpu-shares", value: "NUMBER", "The same"),
            Option("cpu-quota", value: "MICROSECONDS", "CPU time in each period"),
            Option("cpu-period", value: "MICROSECONDS", "The period"),
            Option("cpu-burst", value: "MICROSECONDS", "CPU time that may be saved up"),
            Option("cpu-rt-runtime", value: "MICROSECONDS", "Real-time CPU time in each period"),
            Option("cpu-rt-period", value: "MICROSECONDS", "The period of that"),
            Option("cpu-idle", value: "NUMBER", "1: only when nothing else wants to run"),
            Option("cpuset-cpus", value: "LIST", "Which CPUs"),
            Option("cpuset-mems", value: "LIST", "Which memory nodes"),
            Option("pids-limit", value: "NUMBER", "Processes and threads"),
            Option("blkio-weight", value: "NUMBER", "Weight of its block input and output"),
          ])
      ]),
    Verb(
      "oci ps", "CONTAINER", count: 1...1, "List a container's processes as the host numbers them",
      groups: [OptionGroup("Listing", [Option("format", "f", value: "table|json", "How to print")])]),
    Verb(
      "oci events", container, count: 1...1, "Print what a container uses, again and again, as JSON lines",
      groups: [
        OptionGroup(
          "When",
          [Option("interval", value: "TIME", "How long between two lines (5s)"), Option("stats", "Once, and end")])
      ]),
    Verb("oci stats", container, count: 1...1, "The same as events --stats"),
    Verb("oci features", "", "Print as JSON what this runtime can do"),
    Verb(
      "oci spec", "", "Write a config.json to begin with",
      groups: [
        OptionGroup("How", [bundle, Option("rootless", "For a user who is not root")])
      ]),
  ]
}

/// A command line of the OCI dialect, with the flags that stood before the verb.
public struct OCICommandLine: Sendable {
  public let global: ParsedCommand
  public enum Reading: Sendable {
    case command(ParsedCommand)
    /// The text of help.
    case help(String)
    case version
  }
  public let reading: Reading

  /// Reads the words after the runtime's name.
  public init(_ words: ArraySlice<String>) throws(UsageError) {
    global = try ParsedCommand(Verb.ociGlobal, words)
    if global.flag("version") {
      reading = .version
      return
    }
    if global.flag("help") || global.operands.isEmpty || global.operands == ["help"] {
      reading = .help(OCICommandLine.overview)
      return
    }
    let word = global.operands[0] == "help" ? global.operands[1] : global.operands[0]
    guard let verb = Verb.hot("oci " + word) ?? Verb.oci.first(where: { $0.name == "oci " + word }) else {
      throw UsageError(verb: "oci", "there is no verb \"\(presentable(word))\"")
    }
    if global.operands[0] == "help" {
      reading = .help(Help.page(verb))
      return
    }
    let command = try ParsedCommand(verb, global.operands.dropFirst())
    reading = command.flag("help") ? .help(Help.page(verb)) : .command(command)
  }

  static var overview: String {
    let width = Verb.oci.map { $0.name.utf8.count - 4 }.max() ?? 0
    var text = Help.page(Verb.ociGlobal) + "\nVerbs:\n"
    for verb in Verb.oci { text += "  \(Help.padded(String(verb.name.dropFirst(4)), width))  \(verb.summary)\n" }
    return text
  }
}
