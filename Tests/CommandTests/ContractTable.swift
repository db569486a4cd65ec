/// The walls that the table is run for. A new wall is one word here.
let contractWalls = ["container", "jail", "sentry"]

/// One operation of the contract as a shell script (see `Station.script`), and what it must come to.
struct Operation: Sendable {
  let name: String
  let script: String
  var status: Int32 = 0
  /// All of standard output; nil where it does not matter.
  var output: String?
  /// A part of standard error.
  var says = ""
  /// The rule that a wall must enforce for this to hold, with the options that ask for it: where `policy explain` says that it does
  /// not, `run` must refuse with 125 and name the rule.
  var rule: (name: String, options: String)?
  /// The walls that have not got the ability, and what they say instead.
  var cannot: [String: String] = [:]
  /// What a caller without root may hear instead, where the machine has given him nothing to do it with.
  var cannotWithoutRoot = ""
  /// Whether this must be the last word of the box: nothing is left running even before `rm`.
  var ends = true
}

extension Operation {
  static let all: [Operation] = statuses + streams + limits + endings + abilities

  static let statuses: [Operation] = [
    Operation(name: "run true", script: "box -- true", output: ""),
    Operation(name: "exit status", script: "box -- sh -c 'exit 7'", status: 7),
    Operation(name: "signal", script: "box -- sh -c 'kill -TERM $$'", status: 143),
    Operation(name: "SIGKILL", script: "box -- sh -c 'kill -KILL $$'", status: 137),
    Operation(name: "not found by name", script: "box -- no-such-program", status: 127, says: "no-such-program"),
    Operation(name: "not found by path", script: "box -- /no/such/program", status: 127, says: "/no/such/program"),
    Operation(name: "not executable", script: "box -- /etc/passwd", status: 126, says: "/etc/passwd"),
    Operation(name: "a folder", script: "box -- /usr", status: 126, says: "/usr"),
    Operation(
      name: "a failed start leaves nothing",
      script: "box --name gone -- no-such-program 2>/dev/null; immure ps -aq", output: ""),
    Operation(name: "--rm", script: "box --rm -- true; immure ps -aq", output: ""),
  ]

  static let streams: [Operation] = [
    Operation(
      name: "1 MB through -i and back",
      script: "head -c 1048576 /dev/urandom > $R/in; box -i -- cat < $R/in > $R/out && cmp $R/in $R/out", output: ""),
    Operation(name: "no input without -i", script: "echo x | box -- cat", output: ""),
    Operation(
      name: "output apart from errors", script: "box -- sh -c 'echo out; echo err >&2'", output: "out\n", says: "err\n"),
    Operation(
      name: "environment",
      script: "SECRET=1 box -e GIVEN=2 -- sh -c 'echo ${SECRET-none} $GIVEN ${#PATH} | grep -c \"^none 2 [1-9]\"'",
      output: "1\n"),
  ]

  static let limits: [Operation] = [
    Operation(
      name: "timeout", script: "box --timeout 200ms -- sleep 1$M", status: 124, says: "time limit 200ms (--timeout)"),
    Operation(
      name: "timeout of one that ignores it",
      script: "box --timeout 200ms -- sh -c 'trap \"\" TERM INT HUP; sleep 1$M & sleep 1$M'", status: 124,
      says: "time limit"),
    Operation(
      name: "memory",
      script:
        "box --memory 32m -- perl -e '$x = \"a\" x (200 << 20)'; s=$?; immure inspect $(immure ps -aq) | grep killedBy; exit $s",
      status: 137, output: "    \"killedBy\": \"memory\",\n", says: "memory limit 32 MiB (--memory)",
      rule: ("limits.memory", "--memory 32m")),
    Operation(
      name: "processes",
      script: "box --pids 20 -- perl -e 'while ($n < 100 && defined($p = fork)) { $p or sleep 60; $n++ } print $n'",
      output: "18", rule: ("limits.pids", "--pids 20")),
    Operation(
      name: "fork bomb",
      script:
        "box --timeout 1500ms --pids 100 --allow-unenforced limits.pids -- perl -e 'while (1) { defined fork or select undef, undef, undef, 0.1 } # '$M",
      status: 124,
      says: "time limit"),
    Operation(
      name: "file size", script: "box --file-size 1m -- sh -c 'exec head -c 3000000 /dev/zero > $HOME/f'", status: 153,
      says: "file size limit 1 MiB (--file-size)"),
    Operation(
      name: "output", script: "box --output 4k -- yes | wc -c; immure inspect $(immure ps -aq) | grep exitCode",
      output: "4096\n    \"exitCode\": 125,\n", says: "output limit 4 KiB (--output)"),
    Operation(
      name: "CPU time", script: "box --cpu-time 1s -- sh -c 'while :; do :; done'", status: 152,
      says: "CPU time limit 1s (--cpu-time)"),
    Operation(name: "open files", script: "box --open-files 32 -- sh -c 'ulimit -n'", output: "32\n"),
    Operation(
      name: "a loss that was accepted is recorded",
      script: """
        box --memory 64m --allow-unenforced limits.memory -- true
        immure inspect $(immure ps -aq) | grep -A4 '"rule": "limits.memory"' | grep -cE '"verdict": "(enforced|weaker|unenforced)"'
        """, output: "1\n"),
  ]

  /// How a box ends, whatever its processes do. `ready` is a FIFO that the box's output goes to.
  static let endings: [Operation] = [
    Operation(
      name: "kill of one that ignores signals",
      script:
        "box -d --name a -- sh -c 'trap \"\" TERM INT HUP QUIT; while :; do sleep 1$M; done' > /dev/null; immure kill a; immure wait a",
      output: "a\n137\n"),
    Operation(
      name: "kill of a stopped one", script: stopped + "immure kill a; immure wait a", output: "a\n137\n"),
    Operation(
      name: "stop of a stopped one", script: stopped + "immure stop -t 100ms a; immure wait a", output: "a\n137\n"),
    Operation(
      name: "kill of a traced one",
      // PTRACE_TRACEME, then a stop that the parent never goes on from; a wall may refuse ptrace, then it is a stopped one. The
      // parent waits for the stop with WUNTRACED before it says so.
      script: """
        box -d --name a -- perl -e '
          $| = 1; $child = fork;
          if ($child == 0) { syscall 101, 0, 0, 0, 0; kill "STOP", $$; sleep 1000 }
          waitpid $child, 2; print "ready\\n"; sleep 1000; # '$M > /dev/null
        mkfifo $R/f; immure logs -f a > $R/f & read line < $R/f
        immure kill a; immure wait a
        """, output: "a\n137\n"),
    Operation(
      name: "stop asks first",
      script: """
        box -d --name a -- sh -c 'trap "exit 5" TERM; echo ready; while :; do sleep 0.02; done' > /dev/null
        mkfifo $R/f; immure logs -f a > $R/f & read line < $R/f
        immure stop a; immure wait a
        """, output: "a\n5\n"),
    Operation(
      name: "a daemon left behind", script: "box -- sh -c 'setsid sleep 1$0 > /dev/null 2>&1 & exit 3' $M", status: 3),
    Operation(
      name: "a daemon of a daemon",
      script: "box -- sh -c '(setsid sh -c \"sleep 1$0 & sleep 1$0\" > /dev/null 2>&1 &); exit 3' $M",
      status: 3),
    Operation(
      name: "rm -f after immure was killed",
      script: killed + "immure rm -f a; immure ps -aq", output: "a\n"),
    Operation(
      name: "kill or prune after immure was killed",
      script: killed + "immure kill a > /dev/null 2>&1; immure prune > /dev/null; immure ps -aq", output: ""),
  ]

  private static let stopped = """
    box -d --name a -- sh -c 'echo ready; kill -STOP $$; sleep 1'$M > /dev/null
    mkfifo $R/f; immure logs -f a > $R/f & read line < $R/f

    """
  /// A box whose immure was killed while it ran; its output stays open, or it would be ending by then.
  private static let killed = """
    mkfifo $R/f
    "$B" --root "$R" run --wall "$W" --name a -- sh -c 'setsid sleep 1$0 & echo ready; exec sleep 1$0' $M > $R/f & p=$!
    exec 5< $R/f; read line <&5; kill -KILL $p; wait $p 2> /dev/null

    """

  /// One that has set its trap.
  private static let sleeping = """
    box -d --name a -- sh -c 'trap "exit 5" USR1; echo ready; while :; do sleep 0.02; done # '$M > /dev/null
    mkfifo $R/f; immure logs -f a > $R/f & read line < $R/f

    """

  static let abilities: [Operation] = [
    Operation(
      name: "pause and resume",
      script: sleeping + """
        immure pause a || exit; immure ps | grep -c paused
        immure kill -s USR1 a; immure resume a; immure wait a
        """, output: "a\n1\na\na\n5\n", cannotWithoutRoot: "paus"),
    Operation(
      name: "kill of a paused one", script: sleeping + "immure pause a || exit; immure kill a; immure wait a",
      output: "a\na\n137\n",
      cannotWithoutRoot: "paus"),
    Operation(
      name: "stop of a paused one",
      script: sleeping + "immure pause a || exit; immure stop -t 100ms a > /dev/null; immure ps -q",
      output: "a\n", cannotWithoutRoot: "paus"),
    Operation(
      name: "exec", script: sleeping + "immure exec a sh -c 'echo in; exit 4'", status: 4, output: "in\n",
      cannot: ["jail": "the jail wall cannot run a further program"], ends: false),
    Operation(
      name: "exec: not found", script: sleeping + "immure exec a no-such-program", status: 127, output: "",
      says: "no-such-program",
      cannot: ["jail": "the jail wall cannot run a further program"], ends: false),
    Operation(
      name: "exec carries 1 MB",
      script: sleeping
        + "head -c 1048576 /dev/urandom > $R/in; immure exec -i a cat < $R/in > $R/out && cmp $R/in $R/out", output: "",
      cannot: ["jail": "the jail wall cannot run a further program"], ends: false),
    Operation(
      name: "stats",
      script: sleeping
        + "immure stats --format json a | grep -cE '\"(processes|memoryBytes|cpuMicroseconds)\": [0-9]+'",
      output: "3\n", ends: false),
    Operation(
      name: "top", script: sleeping + "immure top a | grep -q 'sh -c' && echo there", output: "there\n", ends: false),
    Operation(
      name: "the wall is shown", script: sleeping + "immure ps --format json | grep -c \"\\\"wall\\\": \\\"$W\\\"\"",
      output: "1\n",
      ends: false),
  ]
}
