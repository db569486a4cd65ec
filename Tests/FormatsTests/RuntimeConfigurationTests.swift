import Formats
import Foundation
import Testing

/// config.json, process.json and update files as podman, Docker, containerd and its CRI wrote them (Fixtures/oci, shortened), and what is
/// wrong with others.
@Suite struct RuntimeConfigurationTests {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures/oci")

  static func fixtures(_ isWanted: (String) -> Bool) throws -> [(name: String, bytes: [UInt8])] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().filter(isWanted)
      .map { ($0, Array(try Data(contentsOf: folder.appendingPathComponent($0)))) }
  }

  @Test func everySampleOfTheClientsIsRead() throws {
    let configurations = try Self.fixtures { !$0.hasPrefix("exec-") && !$0.hasPrefix("update-") }
    #expect(configurations.count >= 15)
    for (name, bytes) in configurations {
      let configuration = try RuntimeConfiguration.read(bytes, source: name)
      #expect(configuration.ignoredFields.isEmpty, "\(name)")
      #expect(!configuration.mounts.isEmpty && configuration.rootPath != nil, "\(name)")
    }
    for (name, bytes) in try Self.fixtures({ $0.hasPrefix("exec-") }) {
      var ignored: [String] = []
      let process = try ProcessConfiguration.read(bytes, source: name, ignored: &ignored)
      #expect(ignored.isEmpty && process.capabilities.bounding != 0, "\(name)")
    }
    for (name, bytes) in try Self.fixtures({ $0.hasPrefix("update-") }) {
      var ignored: [String] = []
      let resources = try ResourceConfiguration.read(bytes, source: name, ignored: &ignored)
      #expect(ignored.isEmpty && resources.memorySwapLimit != nil, "\(name)")
    }
  }

  /// The smallest document, with one member put in: `at` is a path of keys, `json` the value.
  static func document(_ at: String, _ json: String) throws -> [UInt8] {
    var root = try JSONValue.parse(
      Array(
        #"{"ociVersion":"1.3.0","root":{"path":"rootfs"},"process":{"args":["a"],"cwd":"/"},"linux":{"namespaces":[{"type":"mount"}]}}"#
          .utf8))
    func put(_ keys: ArraySlice<Substring>, _ into: inout JSONValue) throws {
      guard let key = keys.first else {
        into = try JSONValue.parse(Array(json.utf8))
        return
      }
      var object = JSONObject()
      if case .object(let there) = into { object = there }
      var member = object[String(key)] ?? .object(JSONObject())
      try put(keys.dropFirst(), &member)
      object[String(key)] = member
      into = .object(object)
    }
    try put(at.split(separator: "/")[...], &root)
    return root.bytes()
  }

  @Test(
    arguments: [
      ("ociVersion", #""2.0.0""#, #"ociVersion: "2.0.0" is a version"#),
      ("root", "{}", #"root: "path" is missing"#),
      ("windows", #"{"layerFolders":["x"]}"#, "windows: not supported: it is for another platform"),
      ("linux/intelRdt", #"{"closID":"a"}"#, "linux.intelRdt: not supported"),
      ("linux/memoryPolicy", #"{"mode":"MPOL_BIND"}"#, "linux.memoryPolicy: not supported"),
      ("linux/mountLabel", #""system_u""#, #"linux.mountLabel: "system_u" not supported"#),
      ("process/apparmorProfile", #""docker-default""#, #"process.apparmorProfile: "docker-default" not supported"#),
      ("process/selinuxLabel", #""x""#, "process.selinuxLabel: \"x\" not supported"),
      (
        "process/capabilities", #"{"bounding":["CAP_KILL","CAP_SYS_ADMN"]}"#,
        #"process.capabilities.bounding[1]: "CAP_SYS_ADMN" is no capability of Linux: did you mean CAP_SYS_ADMIN?"#
      ),
      ("process/rlimits", #"[{"type":"RLIMIT_X","soft":1,"hard":1}]"#, #"process.rlimits[0].type: "RLIMIT_X" is no"#),
      (
        "process/rlimits", #"[{"type":"RLIMIT_CPU","soft":1,"hard":1},{"type":"RLIMIT_CPU","soft":1,"hard":1}]"#,
        "is there twice"
      ),
      ("process/rlimits", #"[{"type":"RLIMIT_CPU","soft":2,"hard":1}]"#, "is above the hard limit 1"),
      ("process/cwd", #""tmp""#, #"process.cwd: "tmp" is not an absolute path"#),
      ("process/cwd", #""/a\u0000b""#, "process.cwd: \"/a\\u{0}b\" has a NUL"),
      ("process/args", "[]", "process.args: must name a program"),
      ("process/env", #"["=x"]"#, #"process.env[0]: "=x" is not NAME=value"#),
      ("process/user", #"{"uid":4294967295}"#, "process.user.uid: \"4294967295\" is no id"),
      ("process/user", #"{"uid":-1}"#, "process.user.uid: \"-1\" is not between 0"),
      ("process/user", #"{"umask":512}"#, "is no umask"),
      ("process/oomScoreAdj", "1001", "is not between -1000 and 1000"),
      ("process/scheduler", #"{"policy":"SCHED_FIF"}"#, "did you mean SCHED_FIFO?"),
      ("process/ioPriority", #"{"class":"IOPRIO_CLASS_RT","priority":8}"#, "is no I/O priority"),
      ("process/execCPUAffinity", #"{"final":"3-1"}"#, #"process.execCPUAffinity.final: "3-1" is no list"#),
      (
        "mounts", #"[{"destination":"/x","options":["bind","roo"]}]"#, #"mounts[0].options[1]: "roo" is no option of a"#
      ),
      ("mounts", #"[{"destination":"/x","type":"tmpfs","options":["remount"]}]"#, #""remount" not supported"#),
      ("mounts", #"[{"destination":"/x"}]"#, "\"type\" is missing"),
      ("mounts", #"[{"destination":"/x","type":"tmpfs","options":["idmap"]}]"#, "is not a bind mount"),
      ("hooks", #"{"poststop":[{"path":"x"}]}"#, #"hooks.poststop[0].path: "x" is not an absolute path"#),
      ("hooks", #"{"poststop":[{"path":"/x","timeout":0}]}"#, "hooks.poststop[0].timeout: \"0\" is no time"),
      ("hostname", #""x""#, #"hostname: "x" needs a namespace of type uts"#),
      ("linux/namespaces", #"[{"type":"net"}]"#, #"linux.namespaces[0].type: "net" is no kind of namespace"#),
      ("linux/namespaces", #"[{"type":"pid"},{"type":"pid"}]"#, "linux.namespaces[1].type: \"pid\" is there twice"),
      ("linux/namespaces", #"[{"type":"pid","path":"ns"}]"#, "is not an absolute path"),
      ("linux/uidMappings", #"[{"containerID":0,"hostID":0,"size":0}]"#, "is a mapping of no ids"),
      ("linux/uidMappings", #"[{"containerID":1,"hostID":0,"size":4294967295}]"#, "beyond the last id"),
      ("linux/uidMappings", #"[{"containerID":1,"hostID":0,"size":1}]"#, "one of uidMappings and gidMappings only"),
      ("linux/timeOffsets", #"{"realtime":{"secs":1}}"#, #"linux.timeOffsets: "realtime" is no clock"#),
      ("linux/timeOffsets", #"{"monotonic":{"secs":1}}"#, "need a new namespace of type time"),
      ("linux/devices", #"[{"path":"/dev/x","type":"c"}]"#, #"linux.devices[0]: "major" is missing"#),
      ("linux/devices", #"[{"path":"/dev/x","type":"q"}]"#, "is none of c, b, u and p"),
      ("linux/netDevices", #"{"a/b":{}}"#, "is no network device's name"),
      ("linux/rootfsPropagation", #""slav""#, "did you mean slave?"),
      ("linux/personality", #"{"domain":"LINUX64"}"#, "is no execution domain"),
      ("linux/resources/memory", #"{"kernel":5}"#, "linux.resources.memory.kernel: \"5\" not supported"),
      ("linux/resources/memory", #"{"swappiness":101}"#, "is not between 0 and 100"),
      ("linux/resources/blockIO", #"{"leafWeight":10}"#, "leafWeight: \"10\" not supported"),
      ("linux/resources/blockIO", #"{"weight":1}"#, "is not between 10 and 1000"),
      ("linux/resources/unified", #"{"../memory.max":"1"}"#, #""../memory.max" is no file of a control group"#),
      ("linux/resources/devices", #"[{"allow":true,"type":"c","access":"rx"}]"#, "is not made of r, w and m"),
      ("linux/resources/cpu", #"{"cpus":"0-"}"#, "is no list of numbers"),
      ("linux/maskedPaths", #"["proc"]"#, #"linux.maskedPaths[0]: "proc" is not an absolute path"#),
      ("linux/seccomp", "[]", "linux.seccomp: must be an object"),
    ])
  func aBadValueIsNamedWithItsPlace(_ at: String, _ json: String, _ message: String) throws {
    let bytes = try Self.document(at, json)
    let error = #expect(throws: FormatError.self) {
      _ = try RuntimeConfiguration.read(bytes, source: "config.json")
    }
    let text = error?.description ?? ""
    #expect(text.hasPrefix("config.json: ") && text.contains(message), "\(text)")
    #expect(!text.contains("\n"))
  }

  @Test func whatTheSpecificationDoesNotKnowIsNotedAndLeftAlone() throws {
    let bytes = try Self.document("linux/resources/cpu/x", "1")
    let configuration = try RuntimeConfiguration.read(bytes, source: "config.json")
    #expect(configuration.ignoredFields == ["linux.resources.cpu.x"])
  }

  /// How Go writes fields that it has nothing to say in.
  @Test(
    arguments: [
      ("process/apparmorProfile", #""""#), ("linux/intelRdt", "null"), ("linux/mountLabel", #""""#),
      ("linux/resources/memory/kernel", "0"), ("windows", "{}"), ("hooks", "{}"),
      ("linux/personality", #"{"domain":""}"#),
    ])
  func emptyFieldsSayNothing(_ at: String, _ json: String) throws {
    let read = try RuntimeConfiguration.read(try Self.document(at, json), source: "config.json")
    // Known, and nothing: not passed over as a word that the specification does not have.
    #expect(read.ignoredFields.isEmpty)
  }

  @Test func relativeDestinationsBeginAtTheRoot() throws {
    let bytes = try Self.document("mounts", #"[{"destination":"a/b","type":"tmpfs"}]"#)
    #expect(try RuntimeConfiguration.read(bytes, source: "c").mounts[0].destination == "/a/b")
  }
}
