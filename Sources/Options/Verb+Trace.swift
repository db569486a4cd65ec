extension Verb {
  static let trace = Verb(
    "trace", "-- COMMAND [ARGUMENT…]", count: 1...(.max), "Run a program unconfined and print the policy it needs",
    discussion: """
      Follows the program and every child, thread and daemon of it until none is left, and writes what `immure run --policy` needs for \
      the same run with the least: files, network, limits, environment, each with the reason. THE PROGRAM IS NOT CONFINED: it does all \
      that you may do. Trace what you trust, then run it behind the policy.

      The program keeps standard input, output and error. Without -o the report is printed on standard error \
      once the last of it has ended; `-o -` means standard output. What looks like a secret, a service's socket or a whole \
      home stands in the policy as a comment only. Ctrl-C is the program's to answer, and ends what it left behind once it has ended; of \
      signals sent to `immure trace` the first goes on to the program, the second ends all, the third by SIGKILL. What was seen is \
      written all the same. Set-user-id programs get no privileges while a user traces them.

      Exit statuses: the program's own, 128 + signal, 125 when immure fails, 126 when the program cannot be run, 127 when it is not there.
      """,
    stopsAtOperand: true,
    groups: [
      OptionGroup(
        "What to write",
        [
          Option("output", "o", value: "FILE", "Where the report goes, \"-\" being standard output (standard error)"),
          Option("seccomp", value: "FILE", "Write a profile of the system calls made, and name it in the policy"),
          Option("format", value: "toml|json", "A policy, or one object with policy, profile and all that was seen"),
          Option("quiet", "q", "No notes on stderr"),
        ])
    ],
    examples: [
      Example("immure trace -o script.toml -- ./script.sh", "then: immure run --policy ./script.toml -- ./script.sh"),
      Example("immure trace -q --seccomp true.json -o - -- true", "a profile too, the policy on standard output"),
    ])
}
