import ChildProcesses
import Foundation
import Testing

/// Whose a box that root makes is outside: nobody's, in a range of ids that no other box has; and whose the files are that it shares.
@Suite(
  .enabled(if: Caller.canBeAnybody, Caller.whyNotAnybody),
  .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/python3"), "wants python3"),
  .timeLimit(.minutes(60)))
struct IDRangeTests {
  @Test func eachBoxHasItsOwn() throws {
    let station = try Station(.root)
    let result = try station.script(
      """
      fail() { echo "failed: $*"; exit 1; }
      outside() { python3 -c 'import json, sys
      box = json.load(sys.stdin)[0]["pid"]
      print(open(f"/proc/{box}/uid_map").read().split()[1], open(f"/proc/{box}/status").read().split("Uid:")[1].split()[0])' ; }
      for name in a b; do box -d --name $name -- sleep $M > /dev/null || fail run; immure inspect $name | outside > $R/$name; done
      box -d --name c --userns host -- sleep $M > /dev/null || fail 'run in the host'\\''s'
      read start user < $R/a; [ $start = $user ] && [ $start -ge 65536 ] || fail "a: $start $user"
      read other user < $R/b; [ $((start > other ? start - other : other - start)) -ge 65536 ] || fail "a and b: $start $other"
      [ "$(immure inspect c | outside)" = "0 0" ] || fail "c: $(immure inspect c | outside)"
      echo done
      """)
    expectDone(result)
    #expect(try station.close() == [])
  }

  /// Ids of shared files are the same on both sides, and no id of a box's range is ever on the disk. Behind the sentry, which may give no file
  /// away, all that is made is the caller's.
  @Test(arguments: ["container", "sentry"]) func sharedFilesKeepTheirOwners(wall: String) throws {
    let station = try Station(.root)
    let result = try station.script(
      """
      fail() { echo "failed: $*"; exit 1; }
      mkdir $R/shared; echo theirs > $R/shared/theirs; chown 1234:4321 $R/shared/theirs; chmod 600 $R/shared/theirs
      box -v $R/shared:/shared -- sh -c 'cd /shared; stat -c %u:%g theirs; touch made; touch given; chown 77:78 given; mkdir -m 777 open' > $R/seen \\
        || fail run
      [ "$(cat $R/seen)" = 1234:4321 ] || fail "inside: $(cat $R/seen)"
      box -u 1000:1001 -v $R/shared:/shared -- sh -c 'touch /shared/open/mine; cat /shared/theirs' 2> $R/refused && fail 'read by another'
      grep -q 'ermission denied' $R/refused || fail "said: $(cat $R/refused)"
      cd $R/shared; owners=$(stat -c %u:%g made given open/mine | tr '\\n' ' ')
      wanted='0:0 77:78 1000:1001 '; [ $W != sentry ] || wanted='0:0 0:0 0:0 '
      [ "$owners" = "$wanted" ] || fail "outside: $owners"
      echo done
      """, wall: wall)
    expectDone(result)
    #expect(try station.close() == [])
  }
}
