extension Operation {
  /// The life of a sandbox as its record, its name and its listings tell it. Run as root and as a user, behind each wall.
  static let lifecycle: [Operation] = names + logs + endsByName + records + signals + collisions

  static let names: [Operation] = [
    Operation(
      name: "a name in use says how to free it",
      script: "box --name a -- true; box --name a -- true", status: 125, output: "", says: "immure rm -f a"),
    Operation(
      name: "a removed name is free",
      script: "box --name a -- true; immure rm a; box --name a -- true; immure ps -aq | wc -l",
      output: "a\n1\n"),
    Operation(
      name: "a failed start frees its name", script: "box --name a -- /no/such 2> /dev/null; box --name a -- true",
      output: ""),
    Operation(
      name: "the beginning of an id names it",
      script: "id=$(box -d -- true); immure wait $(echo $id | cut -c 1-6) > /dev/null; immure rm $id | grep -c $id",
      output: "1\n"),
    Operation(name: "the id is printed by -d", script: "test \"$(box -d -- true)\" = \"$(immure ps -aq)\"", output: ""),
  ]

  static let logs: [Operation] = [
    Operation(
      name: "logs keeps both streams",
      script: "box -d --name a -- sh -c 'echo out; echo err >&2' > /dev/null; immure wait a; immure logs a",
      output: "0\nout\n", says: "err"),
    Operation(
      name: "logs -f ends with the box",
      script: "box -d --name a -- sh -c 'for i in 1 2 3; do echo $i; sleep 0.1; done' > /dev/null; immure logs -f a",
      output: "1\n2\n3\n"),
    Operation(
      name: "logs --tail",
      script: "box -d --name a -- seq 100 > /dev/null; immure wait a; immure logs --tail 2 a; immure logs -n 0 a",
      output: "0\n99\n100\n"),
    Operation(
      name: "logs of one in the foreground", script: "box --name a -- true; immure logs a", status: 1, output: "",
      says: "-d"),
    Operation(
      name: "the log is bounded",
      script: """
        box -d --name a --log-size 64k -- sh -c 'seq 100000; echo last' > /dev/null; immure wait a
        immure logs a | tail -n 1; test $(immure logs a | wc -c) -le 65536 || echo too long
        """, output: "0\nlast\n"),
  ]

  static let endsByName: [Operation] = [
    Operation(
      name: "wait tells every status",
      script:
        "box -d --name a -- sh -c 'exit 3' > /dev/null; box -d --name b -- sh -c 'kill -9 $$' > /dev/null; immure wait a b",
      output: "3\n137\n"),
    Operation(
      name: "rm refuses a running one", script: running + "immure rm a", status: 1, output: "", says: "immure rm -f a",
      ends: false),
    Operation(name: "rm -f ends a running one", script: running + "immure rm -f a; immure ps -aq", output: "a\n"),
    Operation(
      name: "prune leaves the running",
      script: running
        + "box --name b -- true; immure prune > /dev/null; immure ps -a --format json | grep -c '\"name\": \"a\"'; immure ps -aq | wc -l",
      output: "1\n1\n", ends: false),
    Operation(name: "rm of nobody", script: "immure rm nobody", status: 1, output: "", says: "\"nobody\""),
    Operation(name: "kill of nobody", script: "immure kill nobody", status: 1, output: "", says: "\"nobody\""),
    Operation(
      name: "kill of one that has ended", script: "box --name a -- true; immure kill a", status: 1, output: "",
      says: "does not run"),
    Operation(name: "stop of one that has ended", script: "box --name a -- true; immure stop a", output: "a\n"),
    Operation(
      name: "one failure does not keep the others", script: running + "immure kill nobody a", status: 1, output: "a\n",
      says: "\"nobody\""),
    Operation(
      name: "kill -s HUP",
      script:
        "box -d --name a -- sh -c 'trap \"exit 9\" HUP; echo ready; while :; do sleep 0.02; done # '$M > /dev/null\n"
        + "mkfifo $R/f; immure logs -f a > $R/f & read line < $R/f\nimmure kill -s HUP a; immure wait a",
      output: "a\n9\n"),
    Operation(
      name: "wait tells the status of one that goes with its record",
      script: """
        box -di --rm --name a -- sh -c 'read x; seq 10000; exit 3' > /dev/null
        "$B" --root "$R" wait a > $R/out & p=$!
        until ls -l /proc/$p/fd | grep -q socket:; do sleep 0.02; done
        echo | immure attach a > $R/seen; wait $p; cat $R/out; immure ps -aq
        """, output: "3\n"),
    Operation(
      name: "--rm after -d",
      script: "box -d --rm --name a -- sh -c 'read x' > /dev/null; immure wait a > /dev/null 2>&1; immure ps -aq",
      output: ""),
  ]

  /// What stands in a record is looked at against the machine, never believed.
  static let records: [Operation] = [
    Operation(
      name: "a record of an earlier boot",
      script: running + """
        f=$(echo $R/sandboxes/*/record.json)
        cp $f $R/kept; sed -i 's/"bootID": *"[^"]*"/"bootID":"00000000-0000-0000-0000-000000000000"/' $f
        immure ps -a | grep -c 'interrupted (the machine was restarted)'
        immure ps -q
        immure kill a
        cat $R/kept > $f; immure kill a
        """, output: "1\na\n", says: "does not run"),
    Operation(
      name: "a reused process id is not signalled",
      script: """
        sleep 1$M & v=$!
        box -d --name a -- sh -c 'echo; read x' > /dev/null; immure wait a > /dev/null
        f=$(echo $R/sandboxes/*/record.json)
        sed -i -e 's/"status": *"exited"/"status":"running"/' -e 's/"pid": *[0-9]*/"pid":'$v'/g' \\
          -e 's/"startTime": *[0-9]*/"startTime":1/g' $f
        grep -c "\\"pid\\":$v" $f
        immure ps -a | grep -c interrupted
        immure kill a 2> /dev/null; immure stop a > /dev/null; immure rm -f a
        kill -0 $v && echo alive; kill $v; wait $v || :
        """, output: "1\n1\na\nalive\n"),
    Operation(
      name: "a damaged record is named, and cleared by force",
      script: """
        box --name a -- true; f=$(echo $R/sandboxes/*/record.json); echo '{"version": 1, "id": 7' > $f
        immure ps -a; immure inspect a > /dev/null; immure rm a
        immure rm -f a; immure ps -a | wc -l
        """, output: "ID  NAME  WALL  STATUS  CREATED  IMAGE  COMMAND\na\n1\n", says: "damaged"),
    Operation(
      name: "a folder without a record is cleared by prune",
      script: "box -- true; rm $R/sandboxes/*/record.json; immure ps -a | wc -l; immure prune | wc -l; ls $R/sandboxes",
      output: "1\n1\n"),
  ]

  /// Signals to immure in the foreground: the box ends, and the status says by what.
  static let signals: [Operation] =
    [("TERM", 143), ("INT", 130), ("HUP", 129)].flatMap { (signal: String, status: Int32) in
      [
        Operation(
          name: "SIG\(signal) to immure",
          script: foreground("echo ready; exec sleep 1$0") + "kill -\(signal) $p; wait $p", status: status),
        // The first asks, the second shortens the wait, the third ends it.
        Operation(
          name: "SIG\(signal) to immure, ignored inside",
          script: foreground("trap \"\" TERM INT HUP; echo ready; while :; do sleep 1$0; done")
            + "(while kill -\(signal) $p 2> /dev/null; do sleep 0.05; done) & wait $p", status: status),
      ]
    } + [
      Operation(
        name: "nobody reads",
        script: "(box -- sh -c 'while :; do echo 1$0; done' $M; echo $? >&2) | head -n 1 > /dev/null", says: "141"),
      Operation(
        name: "nobody reads, ignored inside",
        script:
          "(box -- sh -c 'trap \"\" PIPE TERM; while :; do echo 1$0; done 2> /dev/null' $M; echo $? >&2) | head -n 1 > /dev/null",
        says: "141"),
    ]

  /// Two commands at once.
  static let collisions: [Operation] = [
    Operation(
      name: "one name, six commands",
      script: """
        for i in 1 2 3 4 5 6; do (box -d --name a -- sleep 1$M > /dev/null 2> $R/e$i; echo $? >> $R/statuses) & done; wait
        sort $R/statuses | uniq -c | sed 's/^ *//'; grep -l 'name "a" is' $R/e? | wc -l; immure ps -aq | wc -l
        """, output: "1 0\n5 125\n5\n1\n", ends: false),
    Operation(
      name: "one sandbox, five removals",
      script: running + "for i in 1 2 3 4 5; do immure rm -f a > /dev/null 2>&1 & done; wait; immure ps -aq", output: ""
    ),
    Operation(
      name: "kill, stop and rm at once",
      script: running
        + "immure kill a > /dev/null 2>&1 & immure stop -t 50ms a > /dev/null 2>&1 & immure rm -f a > /dev/null 2>&1 & wait; immure rm -f --all > /dev/null; immure ps -aq",
      output: ""),
  ]

  private static let running = "box -d --name a -- sleep 1$M > /dev/null\n"

  /// Starts a box in the foreground, in the background of the script, and waits until it has written a line. $p is immure, whose output stays open.
  private static func foreground(_ program: String) -> String {
    """
    mkfifo $R/f
    "$B" --root "$R" run --wall "$W" --name a -- sh -c '\(program)' $M > $R/f & p=$!
    exec 5< $R/f; read line <&5

    """
  }
}
