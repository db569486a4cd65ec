import ChildProcesses
import Foundation
import Testing

/// Many commands over one root at once. Each sees sandboxes come and go while it looks: nothing fails but for what its user asked for.
@Suite(.enabled(if: Caller.canBeAnybody, Caller.whyNotAnybody), .timeLimit(.minutes(60)))
struct CrowdTests {
  /// Those that look and those that clear away say nothing and end with 0, and take nothing away from those that run.
  @Test(arguments: contractWalls, [Caller.root, .user])
  func whoLooksAndWhoClearsDisturbsNobody(wall: String, caller: Caller) throws {
    let station = try Station(caller)
    let result = try station.script(
      Self.helpers + """
        watch 'prune' & watch 'ps -a' stats 'system df' 'ps -a --format json' &
        (for i in 1 2 3 4 5 6; do quiet run "$B" --root "$R" run --wall "$W" -- true; done) & a=$!
        # A name that is no beginning of another's id.
        (for end in 'rm -f' kill 'stop -t 50ms'; do
          quiet start "$B" --root "$R" run -d --wall "$W" --name web -- sleep 1$M
          for verb in 'top' 'inspect' 'stats' 'logs'; do quiet look "$B" --root "$R" $verb web; done
          quiet end "$B" --root "$R" $end web
          immure rm web > $R/rm.out 2>&1 || grep -q 'there is no sandbox' $R/rm.out || cat $R/rm.out
        done) & b=$!
        wait $a $b; rm $R/go; wait
        immure prune > /dev/null; immure ps -aq; echo done
        """, wall: wall, seconds: 120)
    #expect(result.output == "done\n", "\(result.error.suffix(800))")
    #expect(try station.leftovers() == [])
    #expect(try station.close() == [])
  }

  /// `rm -f --all` again and again, from two commands: whatever a run had made by then is gone, and each run has ended.
  @Test(arguments: contractWalls, [Caller.root, .user])
  func whatIsRemovedWhileItStartsLeavesNothing(wall: String, caller: Caller) throws {
    let station = try Station(caller)
    let result = try station.script(
      Self.helpers + """
        watch 'rm -f --all' & watch 'rm -f --all' stats 'ps -a' &
        for n in 1 2 3; do
          (for i in 1 2 3; do
            # The last in the background, by a monitor.
            test $n != 3 || d=-d
            immure run $d --wall "$W" -- sleep 1$M > /dev/null 2> $R/said$n; s=$?
            case $s in 0|125|137) ;; *) echo "run: $s $(cat $R/said$n)";; esac
          done) & pids="$pids $!"
        done
        wait $pids; rm $R/go; wait
        immure rm -f --all > /dev/null; immure ps -aq; echo done
        """, wall: wall, seconds: 120)
    #expect(result.output == "done\n", "\(result.error.suffix(800))")
    #expect(try station.leftovers() == [])
    #expect(try station.close() == [])
  }

  /// `quiet NAME COMMAND…` tells what a command said on standard error, or that it failed; `watch VERB…` asks one verb after the other
  /// until $R/go is gone.
  private static let helpers = """
    quiet() {
      name=$1; shift
      "$@" > $R/$name.out 2> $R/$name.err; status=$?
      test $status -eq 0 && ! test -s $R/$name.err || echo "$name: $* ended with $status and said: $(cat $R/$name.err)"
    }
    watch() {
      log=watch-$(echo $* | cksum | cut -d ' ' -f 1)
      while test -e $R/go; do for verb in "$@"; do quiet $log "$B" --root "$R" $verb; done; done
    }
    touch $R/go

    """
}
