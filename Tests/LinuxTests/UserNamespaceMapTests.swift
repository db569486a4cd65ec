import Linux
import Testing

@Suite struct UserNamespaceMapTests {
  @Test func subordinateRanges() {
    let text = """
      rig:100000:65536
      # comment
      1000:200000:1000
      other:1:2
      rig:300000:0
      rig:4294967295:5
      rig:x:5
      rig:400000:10:9
      """
    let ranges = SubordinateIDs.ranges(in: text, user: 1000, name: "rig")
    #expect(ranges.map(\.start) == [100_000, 200_000])
    #expect(ranges.map(\.count) == [65536, 1000])
    #expect(SubordinateIDs.ranges(in: text, user: 7, name: nil).isEmpty)
  }

  @Test func mapBeginsWithTheOwnIdAndEndsAt65536() {
    let map = SubordinateIDs.map(own: 1000, ranges: [(100_000, 1000), (200_000, 1_000_000)])
    #expect(
      map == [
        IDRange(inside: 0, outside: 1000, count: 1), IDRange(inside: 1, outside: 100_000, count: 1000),
        IDRange(inside: 1001, outside: 200_000, count: 64535),
      ])
  }

  @Test(arguments: [(9, nil), (10, 1000), (14, 1004), (15, nil)] as [(UInt32, UInt32?)])
  func outsideOfARange(inside: UInt32, outside: UInt32?) {
    #expect(IDRange(inside: 10, outside: 1000, count: 5).outside(of: inside) == outside)
  }

  @Test func userNames() {
    let passwd = "root:x:0:0::/root:/bin/sh\nrig:x:1000:1000::/home/rig:/bin/sh\nbad\n"
    #expect(SubordinateIDs.userName(1000, passwd: passwd) == "rig")
    #expect(SubordinateIDs.userName(5, passwd: passwd) == nil)
  }
}
