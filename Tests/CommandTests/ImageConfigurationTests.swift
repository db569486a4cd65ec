import ChildProcesses
import Foundation
import Testing

/// What an image's configuration asks for (image-spec, config.md), and what the words of `run` make of it, behind each wall.
@Suite(
  .enabled(if: Caller.canBeAnybody && Immure.hasFront, Caller.whyNotAnybody),
  .enabled(
    if: FileManager.default.isExecutableFile(atPath: "/bin/busybox")
      && FileManager.default.isExecutableFile(atPath: "/usr/bin/python3"), "wants busybox and python3 to make an image"),
  .timeLimit(.minutes(60)))
struct ImageConfigurationTests {
  static let callers: [(Caller, String)] = [
    (.root, "container"), (.root, "sentry"), (.root, "jail"), (.user, "container"), (.user, "sentry"),
  ]

  /// Runs `text` with an image $I in the store that has all of Entrypoint, Cmd, Env, User, WorkingDir and StopSignal; `is TEXT OPTION…`
  /// expects a box of those words to print TEXT.
  private func run(_ caller: Caller, _ wall: String, _ text: String) throws {
    let station = try Station(caller)
    #expect(Caller.hasFrontBeside)
    let fixture =
      URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
      + "/Fixtures/merged.py"
    let made = try Immure.command([
      "sh", "-c", "python3 \(fixture) \(station.root)/image && chmod -R a+rX \(station.root)/image",
    ])
    try #require(made.status == 0, "\(made.error)")
    let result = try station.script(
      """
      fail() { echo "failed: $*"; exit 1; }
      # In a jail, which has no user namespace, whoever is asked for is the sandbox's own user.
      ids() { if [ $W = jail ]; then sed -E 's/ [0-9]+//g'; else cat; fi; }
      is() {
        wanted=$(printf '%s' "$1" | ids); shift
        got=$(box "$@" 2>&1 | tr '\\n' ' ' | ids); [ "$got" = "$wanted" ] || fail "$*: $got"
      }
      waitfor() { for n in $(seq 2400); do immure logs $1 | grep -q '^ready$' && return; sleep 0.05; done; fail "$1 is not ready: $(immure logs $1)"; }
      immure pull -q oci:$R/image:1 > /dev/null || fail pull
      immure run -d --wall container --name maker image:1 sleep $M > /dev/null || fail maker
      immure commit -q -c 'ENTRYPOINT ["sh", "-c", "echo $0:$*; id -u; id -g; pwd; echo $WORD", "first"]' -c 'CMD ["a", "b c"]' \\
        -c 'ENV WORD="x y" PATH=/bin' -c 'USER u' -c 'WORKDIR /deep/new' -c 'STOPSIGNAL USR1' maker all:1 > /dev/null || fail commit
      immure commit -q -c 'CMD ["sh", "-c", "quit() { exit 7; }; trap quit USR1; echo ready; while :; do sleep 0.1; done"]' -c 'STOPSIGNAL USR1' \\
        maker stop:1 > /dev/null || fail 'commit of stop'
      immure rm -f maker > /dev/null
      I=all:1
      \(text)
      echo done
      """, wall: wall)
    expectDone(result)
    #expect(try station.close() == [])
  }

  @Test(arguments: callers) func theConfigurationIsHonoured(caller: Caller, wall: String) throws {
    try run(
      caller, wall,
      """
      is 'first:a b c 1000 1000 /deep/new x y ' $I
      is 'first:one two 1000 1000 /deep/new x y ' $I one two
      is '0:755 ' --read-only --entrypoint stat $I -c %u:%a .
      box -w /bin/busybox/in $I 2>&1 | grep -q '/bin/busybox/in: cannot be the working directory' || fail 'a file on the way'
      """)
  }

  /// Docker's rules: --entrypoint takes Cmd away too, an empty one leaves the words alone, and each option is stronger than the image.
  @Test(arguments: callers) func optionsAreStronger(caller: Caller, wall: String) throws {
    try run(
      caller, wall,
      """
      is ' ' --entrypoint echo $I
      is 'one ' --entrypoint echo $I one
      is 'alone ' --entrypoint '' $I echo alone
      is 'first:a b c 5 6 /tmp z ' -u 5:6 -w /tmp -e WORD=z $I
      is 'first:a b c 0 0 /deep/new x y ' -u 0 $I
      printf '# a remark\\nWORD=from a file\\nOTHER\\n' > $R/env
      is 'first:a b c 1000 1000 /deep/new from a file ' --env-file $R/env $I
      is 'first:a b c 1000 1000 /deep/new last ' --env-file $R/env -e WORD=last $I
      WORD=inherited; export WORD
      is 'first:a b c 1000 1000 /deep/new inherited ' -e WORD $I
      """)
  }

  @Test(arguments: callers) func stopSendsItsSignal(caller: Caller, wall: String) throws {
    try run(
      caller, wall,
      """
      box -d --name s stop:1 > /dev/null || fail run
      waitfor s
      immure stop s > /dev/null || fail stop
      [ "$(immure wait s)" = 7 ] || fail "ended with $(immure wait s)"
      """)
  }
}
