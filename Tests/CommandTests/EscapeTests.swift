import ChildProcesses
import Foundation
import Testing

#if arch(x86_64)
  /// What hostile code tries, and what a canary outside saw of it. The probes call the kernel by number, so they are x86-64's.
  @Suite(.enabled(if: Caller.canBeAnybody, Caller.whyNotAnybody), .timeLimit(.minutes(60)))
  struct EscapeTests {
    struct Attempt: Sendable, CustomTestStringConvertible {
      let wall: String
      let caller: Caller
      let probe: Probe
      var testDescription: String { "\(wall), \(caller.testDescription): \(probe.name)" }
      static let all: [Attempt] = contractWalls.flatMap { wall in
        [Caller.root, .user].flatMap { caller in
          Probe.all.filter { !$0.notHeld.contains(wall) && !$0.notHeld.contains("\(wall) \(caller.rawValue)") }
            .map { Attempt(wall: wall, caller: caller, probe: $0) }
        }
      }
    }

    /// The canary listens at a port and at an abstract and a named socket, as the same user who starts the box, and notes who comes.
    private static let canary = """
      use Socket; my ($root, $mark) = @ARGV; $| = 1;
      socket my $t, AF_INET, SOCK_STREAM, 0; bind $t, pack_sockaddr_in(0, inet_aton("127.0.0.1")); listen $t, 9;
      socket my $a, AF_UNIX, SOCK_STREAM, 0; bind $a, pack_sockaddr_un("\\0immure-$mark"); listen $a, 9;
      socket my $n, AF_UNIX, SOCK_STREAM, 0; bind $n, pack_sockaddr_un("$root/secret.sock"); listen $n, 9; chmod 0777, "$root/secret.sock";
      my ($port) = unpack_sockaddr_in(getsockname $t); print "$port\\n"; sleep 600;
      """

    private func attempt(_ attempt: Attempt, boxed: Bool) throws -> (result: Immure.Result, left: [String]) {
      let station = try Station(attempt.caller)
      try Self.canary.write(toFile: station.root + "/canary", atomically: false, encoding: .utf8)
      try attempt.probe.program.write(toFile: station.root + "/probe", atomically: false, encoding: .utf8)
      try "secret \(station.mark)\n".write(toFile: station.root + "/secret", atomically: false, encoding: .utf8)
      _ = try Immure.command(["chown", "-R", attempt.caller.owner, station.root])
      let start = boxed ? "box -i \(attempt.probe.options) -- perl" : "perl"
      // Descriptors 7 to 9 and 200 are secrets that a careless command would hand over.
      let result = try station.script(
        """
        mkfifo $R/f; perl $R/canary $R $M > $R/f & c=$!; exec 6< $R/f; read port <&6
        exec 7< $R/secret 8<> $R/secret 9< /
        SECRET=1 \(start) - $c $port immure-$M $R/secret < $R/probe
        kill -0 $c && echo canary lives; kill $c; wait $c
        """, wall: attempt.wall, seconds: 120)
      return (result, try station.close())
    }

    @Test(arguments: Attempt.all)
    func nothingEscapes(attempt: Attempt) throws {
      let (result, left) = try self.attempt(attempt, boxed: true)
      // One whom "signal everybody" ends says nothing more; it must not have reached the canary.
      let wanted =
        attempt.probe.name == "signal everybody"
        ? ["done\ncanary lives\n", "canary lives\n"] : ["done\ncanary lives\n"]
      #expect(wanted.contains(result.output), "\(result.output) \(result.error.suffix(400))")
      #expect(left == [])
    }

    /// A probe that could not tell would prove nothing.
    @Test(arguments: Probe.all.filter(\.hasControl))
    func outsideABoxItWouldEscape(probe: Probe) throws {
      let (result, _) = try attempt(Attempt(wall: "container", caller: .root, probe: probe), boxed: false)
      #expect(result.output.contains("ESCAPED"), "\(probe.name): \(result.output) \(result.error)")
    }

    @Test(arguments: contractWalls)
    func memberships(wall: String) throws {
      let station = try Station(.root)
      let result = try station.script(
        "setpriv --groups 4,27,42 \"$B\" --root $R run --wall \(wall) -- sh -c 'id -G | grep -cE \"(^| )(4|27|42)( |$)\"'"
      )
      #expect(result.output == "0\n", "\(result.error)")
      #expect(try station.close() == [])
    }

    /// TIOCSTI types into the terminal that a person will use again (CVE-2017-5226).
    @Test(arguments: contractWalls, [Caller.root, .user])
    func theTerminalIsNotTypedInto(wall: String, caller: Caller) throws {
      let station = try Station(caller)
      let result = try station.script(
        """
        mkfifo $R/in; exec 5<> $R/in
        script -qec "$B --root $R run -it --wall $W -- perl -e 'print ioctl(STDIN, 0x5412, my \\$x = q(y)) ? q(typed) : q(refused), qq(\\n)'" \\
          /dev/null <&5
        """, wall: wall)
      #expect(result.output.contains("refused") && !result.output.contains("typed"), "\(result.output) \(result.error)")
      #expect(try station.close() == [])
    }
  }
#endif
