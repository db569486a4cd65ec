import ChildProcesses
import Foundation
import Testing

/// `--disk-bps` and `--disk-iops`, by how long it takes at least to read or write more than they let through in a second. Written past the
/// page cache: version 1 does not hold who writes later, and the sentry knows no other way.
@Suite(.enabled(if: Caller.canBeAnybody, Caller.whyNotAnybody), .timeLimit(.minutes(60)))
struct DiskLimitTests {
  struct Limit: Sendable {
    let option: String
    let deed: String
    let wall: String
  }
  private static let reads = "if=/shared/file of=/dev/null bs=64k"
  static let limits = [
    Limit(option: "--disk-bps 1m", deed: "if=/dev/zero of=/shared/new oflag=direct bs=64k count=32", wall: "container"),
    Limit(option: "--disk-iops 16", deed: "if=/dev/zero of=/shared/new oflag=direct bs=4k count=32", wall: "container"),
    Limit(option: "--disk-bps 1m", deed: reads, wall: "container"),
    Limit(option: "--disk-bps 1m", deed: reads, wall: "sentry"),
  ]

  @Test(arguments: limits) func aLimitIsHeld(limit: Limit) throws {
    let station = try Station(.root)
    let result = try station.script(
      """
      box \(limit.option) -- true 2> $R/said || { cat $R/said; exit 99; }
      # Two megabytes that are on the disk and in nobody's memory.
      dd if=/dev/urandom of=$R/file bs=64k count=32 conv=fdatasync 2> /dev/null
      dd if=$R/file iflag=nocache count=0 2> /dev/null || exit 98
      box \(limit.option) -v $R:/shared -- sh -c '
        begin=$(date +%s%N); dd \(limit.deed) 2> /dev/null || exit 98
        [ $(($(date +%s%N) - begin)) -ge 1000000000 ] && echo done'
      """, wall: limit.wall, seconds: 60)
    let left = try station.close()
    if result.status == 99 { try Test.cancel("no group can hold it here: \(result.output)") }
    if result.status == 98 { try Test.cancel("the file system takes no direct writes") }
    expectDone(result)
    #expect(left == [])
  }
}
