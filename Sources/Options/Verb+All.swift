extension Verb {
  static let format = Option("format", value: "table|json", "How to print")
  static let naming = "SANDBOX"

  /// Every verb in the order help lists them.
  public static let all: [Verb] =
    [
      run, exec, ps, inspect, logs, attach, stop, kill, wait, pause, resume, unpause, remove, prune, stats, top, cp,
    ] + workspace + [policyExplain, trace, doctor] + images + imageWork + registries + [ociGlobal] + oci + [
      completion, manual, version,
    ]

  /// The verb of that name where it is a hot one: then no other's options are made.
  static func hot(_ name: String) -> Verb? {
    switch name {
    case "run": run
    case "exec": exec
    case "oci create": ociCreate
    case "oci start": ociStart
    case "oci run": ociRun
    case "oci exec": ociExec
    case "oci state": ociState
    case "oci kill": ociKill
    case "oci delete": ociDelete
    default: nil
    }
  }

  static let exec = Verb(
    "exec", "SANDBOX COMMAND [ARGUMENT…]", count: 2...(.max), "Run a further program in a running sandbox",
    stopsAtOperand: true,
    groups: [
      OptionGroup(
        "The program",
        [
          Option("interactive", "i", "Keep standard input open"),
          Option("tty", "t", "Give the program a terminal"),
          Option("env", "e", value: "NAME[=VALUE]", repeats: true, "Set an environment variable, or hand one over"),
          Option("workdir", "w", value: "DIR", "Where the program starts"),
          Option("user", "u", value: "USER[:GROUP]", "Who the program is inside"),
          Option("detach-keys", value: "KEYS", "The keys that leave a terminal (ctrl-p,ctrl-q)"),
        ])
    ], examples: [Example("immure exec -it web sh", "a shell beside the program")])

  static let ps = Verb(
    "ps", "", "List sandboxes",
    groups: [
      OptionGroup(
        "Listing",
        [
          Option("all", "a", "Ended ones too"), Option("quiet", "q", "Ids only"), format,
        ])
    ], examples: [Example("immure ps -a --format json", "every sandbox, for a program")])

  static let inspect = Verb(
    "inspect", "SANDBOX|IMAGE…", count: 1...(.max), "Show all that is known about a sandbox or an image, as JSON",
    examples: [Example("immure inspect web", "its wall, limits and how each rule is enforced")])

  static let logs = Verb(
    "logs", naming, count: 1...1, "Print what a detached sandbox wrote",
    groups: [
      OptionGroup(
        "What to print",
        [
          Option("follow", "f", "Go on as more is written, until the sandbox ends"),
          Option("tail", "n", value: "NUMBER", "Only the last lines"),
          Option("timestamps", "t", "When each line was written"),
        ])
    ], examples: [Example("immure logs -f web", "as it comes")])

  static let attach = Verb(
    "attach", naming, count: 1...1, "Connect the terminal to a detached sandbox",
    groups: [
      OptionGroup("Keys", [Option("detach-keys", value: "KEYS", "The keys that leave again (ctrl-p,ctrl-q)")])
    ])

  static let stop = Verb(
    "stop", naming + "…", count: 1...(.max), "Ask sandboxes to end, then end them",
    groups: [
      OptionGroup("How", [Option("time", "t", value: "SECONDS", "How long to wait before the end is forced (10)")])
    ], examples: [Example("immure stop -t 1 web", "its stop signal, and the end a second later")])

  static let kill = Verb(
    "kill", naming + "…", count: 1...(.max), "Send a signal (KILL: end every process of the box)",
    groups: [OptionGroup("How", [Option("signal", "s", value: "SIGNAL", "Which signal (KILL)")])],
    examples: [Example("immure kill -s HUP web", "a signal of its own")])

  static let wait = Verb(
    "wait", naming + "…", count: 1...(.max), "Wait until sandboxes end and print their exit statuses",
    examples: [Example("immure wait web", "its exit status, once it has ended")])
  static let pause = Verb("pause", naming + "…", count: 1...(.max), "Stop a sandbox's time")
  static let resume = Verb("resume", naming + "…", count: 1...(.max), "Let a paused sandbox go on")

  static let unpause = Verb("unpause", naming + "…", count: 1...(.max), "The same as resume, as Docker spells it")

  static let remove = Verb(
    "rm", naming + "…", count: 0...(.max), "Remove ended sandboxes",
    groups: [
      OptionGroup(
        "Which", [Option("force", "f", "Running ones too: they are ended first"), Option("all", "a", "Every one")])
    ], examples: [Example("immure rm -f web", "ended if it runs, and gone")])

  static let prune = Verb("prune", "", "Remove every ended sandbox and what crashed commands left behind")

  static let stats = Verb(
    "stats", naming + "…", count: 0...(.max), "Show what sandboxes use",
    groups: [OptionGroup("Listing", [Option("no-stream", "Print once"), format])],
    examples: [Example("immure stats web", "memory, CPU time and processes")])

  static let top = Verb(
    "top", naming, count: 1...1, "List a sandbox's processes as the host numbers them",
    groups: [OptionGroup("Listing", [format])], examples: [Example("immure top web", "what runs in it")])

  static let cp = Verb(
    "cp", "SANDBOX:PATH PATH|- | PATH|- SANDBOX:PATH", count: 2...2,
    "Copy files between this machine and a sandbox that runs or is paused",
    discussion:
      "A file or folder lands in a folder that is there under its own name, else at the place named, whose parent must be there; "
      + "FOLDER/. is what is in the folder. \"-\" is a tar stream on standard input or output. Permissions, times and "
      + "extended attributes (user.*) are kept; what lands in a sandbox belongs to its root, what lands here to the caller. Devices, sockets "
      + "and pipes are left out; set-user-id, file capabilities and ACLs are dropped without -a; no link is followed beneath the target.",
    groups: [
      OptionGroup(
        "How",
        [
          Option("archive", "a", "Keep owners by their numbers, set-user-id, file capabilities and ACLs"),
          Option("follow-link", "L", "Copy what a SOURCE that is a link leads to"),
          Option("quiet", "q", "Do not say on a terminal how much was copied"),
        ])
    ],
    examples: [
      Example("immure cp web:/tmp/report ./report", "a file or folder out of it"),
      Example("immure cp - web:/tmp < debian.tar", "an archive into it"),
    ])

  static let workspace: [Verb] = [
    Verb(
      "workspace list", "", "List the workspaces of ended and running sandboxes",
      groups: [OptionGroup("Listing", [format])]),
    Verb(
      "workspace diff", "NAME", count: 1...1, "Show what a sandbox changed in its --workspace",
      groups: [OptionGroup("Listing", [format])]),
    Verb(
      "workspace apply", "NAME", count: 1...1, "Carry the changes over to the host's folder",
      groups: [
        OptionGroup(
          "How",
          [
            Option("dry-run", "Only say what would be done"),
            Option("force", "f", "Also over what changed on the host meanwhile"),
          ])
      ]),
    Verb(
      "workspace discard", "NAME", count: 1...1, "Forget the changes",
      groups: [OptionGroup("How", [Option("force", "f", "Also one that is half applied")])]),
  ]

  static let policyExplain = Verb(
    "policy explain", "", "Say rule by rule who enforces it, and with what",
    groups: [
      OptionGroup(
        "Which",
        [
          Option("wall", value: "WALL", "One wall only"),
          Option("calls", "Every system call of a wall with a kernel of its own: what is there of it, and who answers"),
          format,
        ])
    ] + run.groups.filter { $0.title == "Limits" || $0.title == "Network" || $0.title == "Files" }
      + [
        OptionGroup(
          "Rules",
          [Option("policy", value: "FILE", "Rules from a TOML file")]
            + run.groups.flatMap(\.options).filter { ["pid", "userns", "syscalls"].contains($0.name) })
      ],
    examples: [
      Example("immure policy explain --wall jail --memory 256m", "what the jail holds of it here"),
      Example("immure policy explain --wall sentry --calls", "which system calls the sentry has"),
    ])

  static let doctor = Verb(
    "doctor", "", "Say which walls this machine can raise, what is missing and what to do about it",
    groups: [OptionGroup("Listing", [format])], examples: [Example("immure doctor", "before anything else")])

  static let images: [Verb] = [
    Verb(
      "pull", "IMAGE", count: 1...1, "Fetch an image",
      discussion: """
        registries.conf says which registries a short name may mean, which mirrors are asked first and which registry may do without TLS; \
        without it a short name means Docker Hub. A download that was cut off goes on where it was, also in a later command.
        """, place: .front,
      groups: [
        OptionGroup(
          "How", [Option("platform", value: "OS/ARCH", "Which of an image's platforms")] + transferring + [keepBlobs]),
        registry,
      ]),
    Verb(
      "import", "FILE NAME", count: 2...2, "Make an image of a root file system in a tar file", place: .front,
      groups: [
        OptionGroup(
          "Configuration",
          [
            Option("cmd", value: "COMMAND", "The default command, split at blanks"),
            Option("entrypoint", value: "PROGRAM", "The entrypoint"),
            Option("env", "e", value: "NAME=VALUE", repeats: true, "An environment variable"),
            Option("workdir", "w", value: "DIR", "Where programs start"),
            Option("user", "u", value: "USER", "Who programs are"),
            keepBlobs,
            Option("quiet", "q", "No progress"),
          ])
      ], examples: [Example("immure import debian.tar debian:12", "from mmdebstrap or debootstrap")]),
    Verb(
      "load", "[FILE]", count: 0...1, "Take images out of an OCI archive, or of what docker save writes",
      discussion: "Without FILE, or with - for it, the archive comes from standard input.", place: .front,
      groups: [
        OptionGroup(
          "How",
          [
            Option("input", "i", value: "FILE", "The archive, as Docker spells it"),
            keepBlobs,
            Option("quiet", "q", "No progress"),
          ])
      ]),
    Verb(
      "save", "IMAGE…", count: 1...(.max), "Write images into an archive that Docker, podman and skopeo load",
      discussion: """
        Every layer's tar is what came, bit for bit, its digest verified again: an image that is saved and loaded has the same id. \
        In the OCI formats layers are compressed anew, and the manifest's new digest is told, unless they came with --keep-blobs. \
        The same images give the same bytes. Without -o the archive goes to standard output, which must be no terminal. FILE \
        gets its name only once all of it is written. An image given by its id is saved without a name.
        """, place: .front,
      groups: [
        OptionGroup(
          "How",
          [
            Option("output", "o", value: "FILE", "Where to (standard output); a folder for oci-dir"),
            Option(
              "format", value: "docker-archive|oci-archive|oci-dir", "What to write (docker-archive)"),
            Option("quiet", "q", "No progress"),
          ])
      ], examples: [Example("immure save busybox | tar -tf -", "what an archive of it holds; -o FILE keeps it")]),
    Verb(
      "images", "", "List images", place: .front,
      groups: [OptionGroup("Listing", [format, Option("quiet", "q", "Digests only")])]),
    Verb(
      "rmi", "IMAGE…", count: 1...(.max), "Remove images", place: .front,
      groups: [OptionGroup("How", [Option("force", "f", "Also when a sandbox uses one")])]),
    Verb("tag", "IMAGE NAME", count: 2...2, "Give an image another name", place: .front),
    Verb(
      "image fsck", "", count: 0...0, "Verify every digest in the image store, and say what to pull again",
      discussion: "Ends with 1 where something is damaged or missing.", place: .front,
      groups: [OptionGroup("How", [Option("format", value: "text|json", "As text or JSON (text)")])]),
    Verb("image inspect", "IMAGE", count: 1...1, "Show an image's configuration as JSON", place: .front),
  ]

  static let completion = Verb(
    "completion", "bash|zsh|fish", count: 1...1, "Print completions for a shell",
    examples: [Example("immure completion bash", "what bash reads to complete immure's words")])
  static let manual = Verb(
    "manual", "[DIR]", count: 0...1, "Print the manual page, or write every page into a folder")
  static let version = Verb("version", "", "Say which immure this is")
}
