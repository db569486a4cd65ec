import ChildProcesses
import Formats
import Foundation
import Linux
import OCI
import Testing

/// `events --stats`: the same container through runc and ours, and version 2's files, of which this machine may have none.
@Suite("What a container uses")
struct StatisticsTests {
  /// Every path of keys in a document, with "[]" for an array's elements; but for what is there only where it is not zero.
  private func paths(_ value: Any, _ path: String = "") -> Set<String> {
    if let object = value as? [String: Any] {
      return object.reduce(into: [path]) { $0.formUnion(paths($1.value, path + "/" + $1.key)) }
    }
    if let array = value as? [Any] { return array.reduce(into: [path]) { $0.formUnion(paths($1, path + "[]")) } }
    return [path]
  }

  private func isSteady(_ path: String) -> Bool {
    !["/usage/usage", "/swap/usage", "/kernel/usage", "/max", "/cache"].contains { path.hasSuffix($0) }
      && !path.hasPrefix("/blkio/") && !path.hasPrefix("/cpu/throttling/") && !path.hasPrefix("/hugetlb/")
  }

  /// Limits, sets and the shape are the same; what runs differently is not compared.
  @Test(
    .enabled(
      if: OCI.canRun && OtherRuntimes.found.contains { $0.name == "runc" } && CgroupLayout.detect().mode != .unified,
      "wants root, runc, and control groups of version 1"))
  func likeRunc() throws {
    let oci = try OCI()
    let runc = try #require(OtherRuntimes.found.first { $0.name == "runc" }).path
    let name = "immure-statistics-\(UUID().uuidString.prefix(8))"
    func bundle(_ group: String) throws -> String {
      try oci.bundle(["sleep", "1000"]) { configuration in
        var linux = configuration["linux"] as? [String: Any] ?? [:]
        linux["resources"] = [
          "memory": ["limit": 64 << 20], "pids": ["limit": 20],
          "cpu": ["quota": 50_000, "period": 100_000, "cpus": "0"],
          "devices": [["allow": false, "access": "rwm"]],
        ]
        linux["cgroupsPath"] = "/\(group)"
        configuration["linux"] = linux
        configuration["ociVersion"] = "1.0.2"
        var process = configuration["process"] as? [String: Any] ?? [:]
        process["rlimits"] = nil
        configuration["process"] = process
      }
    }
    let id = oci.newID()
    _ = try oci.create(id, try bundle(name + "-ours"))
    #expect(try oci.run("start", id).status == 0)
    let state = oci.path + "/runc"
    let other = try OCI.command([runc, "--root", state, "run", "-d", "--bundle", try bundle(name + "-theirs"), id])
    defer { _ = try? OCI.command([runc, "--root", state, "delete", "--force", id]) }
    try #require(other.status == 0, "\(other.error)")
    let ours = try #require(try oci.run("events", "--stats", id).json["data"] as? [String: Any])
    let theirs = try #require(
      try OCI.command([runc, "--root", state, "events", "--stats", id]).json["data"] as? [String: Any])
    let (one, two) = (paths(ours).filter(isSteady), paths(theirs).filter(isSteady))
    #expect(
      one.symmetricDifference(two) == [], "ours only: \(one.subtracting(two)), runc's only: \(two.subtracting(one))")
    func value(_ data: [String: Any], _ keys: String...) -> NSObject? {
      var value: Any? = data
      for key in keys { value = (value as? [String: Any])?[key] }
      return value as? NSObject
    }
    for keys in [["memory", "usage", "limit"], ["pids", "limit"], ["pids", "current"], ["cpuset"]] {
      let pair = [ours, theirs].map { data in
        keys.reduce(data as Any?) { ($0 as? [String: Any])?[$1] } as? NSObject
      }
      #expect(pair[0] != nil && pair[0] == pair[1], "\(keys): \(pair)")
    }
    #expect((value(ours, "cpu", "usage", "total") as? NSNumber)?.uint64Value ?? 0 > 0)
    #expect((value(ours, "memory", "usage", "usage") as? NSNumber)?.uint64Value ?? 0 > 0)
  }

  /// Files as a kernel with version 2 alone writes them.
  @Test func version2() throws {
    let folder = NSTemporaryDirectory() + "immure-group-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for (name, text) in [
      "cpu.stat":
        "usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnr_periods 7\nnr_throttled 2\nthrottled_usec 11\n",
      "cpu.pressure":
        "some avg10=0.50 avg60=0.10 avg300=0.00 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
      "memory.current": "4096\n", "memory.max": "max\n", "memory.peak": "8192\n", "memory.swap.current": "100\n",
      "memory.swap.max": "max\n", "memory.stat": "anon 1\nfile 2048\n", "memory.events": "low 0\nmax 3\noom_kill 0\n",
      "pids.current": "4\n", "pids.max": "max\n",
      "io.stat": "8:16 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\nnonsense\n",
      "hugetlb.2MB.current": "2097152\n", "hugetlb.2MB.rsvd.current": "0\n", "hugetlb.2MB.events": "max 5\n",
    ] { try text.write(toFile: folder + "/" + name, atomically: true, encoding: .utf8) }
    let data = GroupStatistics(Cgroup(places: [Cgroup.Place(controller: nil, path: folder)])).data
    #expect(data["cpu"]?["usage"] == ["total": 5_000_000, "kernel": 2_000_000, "user": 3_000_000])
    #expect(data["cpu"]?["throttling"] == ["periods": 7, "throttledPeriods": 2, "throttledTime": 11_000])
    #expect(data["cpu"]?["psi"]?["some"] == ["avg10": 0.5, "avg60": 0.1, "avg300": 0.0, "total": 123])
    #expect(data["memory"]?["cache"] == 2048)
    #expect(
      data["memory"]?["usage"] == ["limit": .unsigned(UInt64.max), "usage": 4096, "max": 8192, "failcnt": 3])
    #expect(data["memory"]?["swap"] == ["limit": .unsigned(UInt64.max), "usage": 4196, "failcnt": 0])
    #expect(data["pids"] == ["current": 4])
    #expect(
      data["blkio"]?["ioServiceBytesRecursive"] == [
        ["major": 8, "minor": 16, "op": "Read", "value": 10], ["major": 8, "minor": 16, "op": "Write", "value": 20],
        ["major": 8, "minor": 16, "op": "Discard"],
      ])
    #expect(data["hugetlb"] == ["2MB": ["usage": 2_097_152, "failcnt": 5]])
  }
}
