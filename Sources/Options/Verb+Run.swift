extension Verb {
  public static let run = Verb(
    "run", "IMAGE [COMMAND [ARGUMENT…]] | -- COMMAND [ARGUMENT…]", count: 1...(.max),
    "Run a program behind a wall",
    discussion: """
      With an image, the program sees the image's files; an absent image is pulled. With `--` and no image it sees this \
      machine's own programs read-only, the current folder read-only at its own path, and nothing of homes, /root, /run, \
      /var, /tmp, /mnt and /srv. Writes go to a layer that is thrown away. There is no network unless asked for.

      Without --wall the container wall is taken, else the jail, and only a wall that enforces every rule that you wrote. \
      Exit statuses: the program's own, 128 + signal, 125 when immure fails, 126 when the program cannot be run, 127 when \
      it is not there, 124 after --timeout, 137 over the memory limit.
      """,
    stopsAtOperand: true,
    groups: [
      OptionGroup(
        "The wall",
        [
          Option(
            "wall", value: "WALL",
            "jail or container; without it container, else jail, if it enforces every rule"),
          Option("policy", value: "FILE", "Rules from a TOML file, or \"untrusted\", \"build\" or another that ships"),
          Option("at-least", value: "WALL", "Refuse a thinner wall than this"),
          Option("allow-unenforced", value: "RULE", repeats: true, "Accept that the wall cannot hold this rule"),
          Option("pid", value: "private|host", "Whether the host's processes are hidden"),
          Option("userns", value: "auto|host", "An own id range for the box's root (auto), or the host's ids (host)"),
          Option("cap-add", value: "CAPABILITY", repeats: true, "Give a capability within the box"),
          Option("cap-drop", value: "CAPABILITY", repeats: true, "Take a capability away; \"all\" takes every one"),
          Option(
            "syscalls", value: "native-harmless|strict",
            "What the host's kernel performs unasked behind the sentry wall: harmless calls, or next to none"),
          Option(
            "security-opt", value: "RULE", repeats: true, "seccomp=FILE, seccomp=unconfined or no-new-privileges=false"),
        ]),
      OptionGroup(
        "The box",
        [
          Option("name", value: "NAME", "What to call the sandbox"),
          Option("rm", "Remove the sandbox when it ends"),
          Option("detach", "d", "Go on in the background and print the sandbox's id"),
          Option("interactive", "i", "Keep standard input open"),
          Option("tty", "t", "Give the program a terminal"),
          Option("detach-keys", value: "KEYS", "The keys that leave a terminal (ctrl-p,ctrl-q)"),
          Option("hostname", value: "NAME", "The box's host name"),
          Option("stop-signal", value: "SIGNAL", "What `stop` sends first"),
          Option("pull", value: "missing|always|never", "When to fetch the image"),
          Option("platform", value: "OS/ARCH", "Which of an image's platforms"),
          Option("quiet", "q", "No progress and no notes on stderr"),
        ]),
      OptionGroup(
        "The program",
        [
          Option("env", "e", value: "NAME[=VALUE]", repeats: true, "Set an environment variable, or hand one over"),
          Option("env-file", value: "FILE", repeats: true, "Environment variables from a file, one a line"),
          Option("workdir", "w", value: "DIR", "Where the program starts"),
          Option("user", "u", value: "USER[:GROUP]", "Who the program is inside"),
          Option("entrypoint", value: "PROGRAM", "In place of the image's entrypoint"),
        ]),
      OptionGroup(
        "Files",
        [
          Option(
            "volume", "v", value: "SOURCE:TARGET[:ro|sockets]", repeats: true, "Show a host file or folder inside"),
          Option("hide", value: "PATH", repeats: true, "Nothing is there inside"),
          Option("tmpfs", value: "TARGET[:size=SIZE]", repeats: true, "An empty folder in memory"),
          Option("read-only", "No writable layer"),
          Option(
            "workspace", value: "DIR[:apply]", repeats: false,
            "A folder through a private overlay; see `immure workspace`"),
          Option("device", value: "PATH", repeats: true, "A host device"),
          Option("scratch", value: "SIZE", "The writable layer and /tmp may hold so much (1g)"),
        ]),
      OptionGroup(
        "Network",
        [
          Option("network", value: "none|host|user", "none, the host's, or outward connections only"),
          Option(
            "publish", "p", value: "[ADDRESS:]HOST:BOX[/udp]", repeats: true,
            "Forward a host port inward (implies --network user)"),
          Option("allow-private", "Let --network user reach private, loopback and metadata addresses"),
        ]),
      OptionGroup(
        "Limits",
        [
          Option("memory", "m", value: "SIZE", "Memory, without swap (256m)"),
          Option("cpus", value: "NUMBER", "CPU time as a number of CPUs (1.5)"),
          Option("pids", value: "NUMBER", "Processes and threads"),
          Option("ulimit", value: "NAME=NUMBER", repeats: true, "nofile, core, fsize or cpu, as Docker spells them"),
          Option("open-files", value: "NUMBER", "Open files of one process"),
          Option("file-size", value: "SIZE", "The largest file that may be written"),
          Option("core-size", value: "SIZE", "The largest core file"),
          Option("cpu-time", value: "TIME", "CPU time of one process (10s)"),
          Option("timeout", value: "TIME", "Wall-clock time (30s)"),
          Option("output", value: "SIZE", "Bytes on stdout and stderr together (10m)"),
          Option("log-size", value: "SIZE", "A detached sandbox's log, rotated (16m)"),
          Option("disk-bps", value: "SIZE", "Bytes a second to and from disk"),
          Option("disk-iops", value: "NUMBER", "Disk operations a second"),
        ]),
    ],
    examples: [
      Example("immure run --rm -- sh -c 'id; ls /home'", "this machine's own programs, homes hidden"),
      Example("immure run --rm python:3.12 python3 -c 'print(1)'", "a program from an image"),
      Example("immure run --rm --memory 256m --timeout 30s -- ./script.sh", "with limits"),
    ])
}
