import Formats
import Foundation
import Testing

/// What is read is written again, and the other way round.
@Suite struct RuntimeWritingTests {
  /// JSONDecoder sees the same in the client's document as in what we write of what we read.
  @Test func theDocumentsOfTheClientsComeOutAsTheyWentIn() throws {
    for (name, bytes) in try RuntimeConfigurationTests.fixtures({ !$0.hasPrefix("exec-") && !$0.hasPrefix("update-") })
    {
      let configuration = try RuntimeConfiguration.read(bytes, source: name)
      let written = configuration.json.bytes()
      #expect(try RuntimeDocument(written) == RuntimeDocument(bytes), "\(name)")
      #expect(try RuntimeConfiguration.read(written, source: name) == configuration, "\(name)")
    }
  }

  @Test func theFixturesAndWhatIsWrittenKeepTheSchema() throws {
    let schema = try RuntimeSchema()
    for (name, bytes) in try RuntimeConfigurationTests.fixtures({ _ in true }) {
      let type = name.hasPrefix("exec-") ? "process" : name.hasPrefix("update-") ? "resources" : "root"
      #expect(schema.problems(try JSONSerialization.jsonObject(with: Data(bytes)), type).isEmpty, "\(name)")
      guard type == "root" else { continue }
      let written = try RuntimeConfiguration.read(bytes, source: name).json.bytes()
      #expect(schema.problems(try JSONSerialization.jsonObject(with: Data(written))).isEmpty, "\(name)")
    }
    for rootless in [nil, (user: UInt32(1000), group: UInt32(1000))] {
      let written = RuntimeConfiguration.template(rootless: rootless).json.bytes(indented: true)
      #expect(schema.problems(try JSONSerialization.jsonObject(with: Data(written))).isEmpty)
      #expect(try RuntimeConfiguration.read(written, source: "spec") == .template(rootless: rootless))
    }
    #expect(!schema.problems(["ociVersion": 1, "x": 2]).isEmpty, "the schema refuses something at all")
  }

  /// A field that the specification has and the tables have not would be taken for an unknown one, and be ignored.
  @Test func theTablesHaveEveryFieldOfTheSchemaAndNoOther() throws {
    let schema = try RuntimeSchema()
    #expect(Set(SpecificationObject.all.map(\.name)) == Set(schema.objects.keys))
    for (name, object) in SpecificationObject.all {
      let fields = object.held + object.refused.map(\.name)
      #expect(Set(fields) == Set(schema.objects[name, default: [:]].keys), "\(name)")
      #expect(Set(fields).count == fields.count, "\(name)")
    }
  }

  /// Every member that is held changes the value: one that is checked off in a table and never read would not.
  @Test func everyHeldFieldIsReallyRead() throws {
    let full = #"""
      {"ociVersion":"1.3.0","hostname":"h","domainname":"d","annotations":{"a":"b"},
       "root":{"path":"r","readonly":true},
       "mounts":[{"destination":"/m","source":"/s","type":"none","options":["bind","ridmap"],
         "uidMappings":[{"containerID":1,"hostID":2,"size":3}],"gidMappings":[{"containerID":1,"hostID":2,"size":3}]}],
       "hooks":{"prestart":[{"path":"/h","args":["a"],"env":["A=b"],"timeout":3}],"createRuntime":[{"path":"/h"}],
         "createContainer":[{"path":"/h"}],"startContainer":[{"path":"/h"}],"poststart":[{"path":"/h"}],
         "poststop":[{"path":"/h"}]},
       "process":{"terminal":true,"consoleSize":{"height":5,"width":6},"cwd":"/w","env":["A=b"],"args":["a"],
         "rlimits":[{"type":"RLIMIT_CPU","soft":1,"hard":2}],"noNewPrivileges":true,"oomScoreAdj":7,
         "capabilities":{"bounding":["CAP_KILL"],"effective":["CAP_KILL"],"permitted":["CAP_KILL"],
           "inheritable":["CAP_KILL"],"ambient":["CAP_KILL"]},
         "scheduler":{"policy":"SCHED_FIFO","nice":1,"priority":2,"flags":["SCHED_FLAG_RESET_ON_FORK"],"runtime":3,
           "deadline":4,"period":5},
         "ioPriority":{"class":"IOPRIO_CLASS_BE","priority":3},"execCPUAffinity":{"initial":"0","final":"1-2"},
         "user":{"uid":1,"gid":2,"umask":3,"additionalGids":[4]}},
       "linux":{"namespaces":[{"type":"user"},{"type":"time"},{"type":"uts"},{"type":"network","path":"/n"}],
         "uidMappings":[{"containerID":1,"hostID":2,"size":3}],"gidMappings":[{"containerID":1,"hostID":2,"size":3}],
         "timeOffsets":{"monotonic":{"secs":1,"nanosecs":2}},
         "devices":[{"path":"/dev/x","type":"b","major":1,"minor":2,"fileMode":3,"uid":4,"gid":5}],
         "netDevices":{"eth0":{"name":"eth1"}},"cgroupsPath":"/c","rootfsPropagation":"slave","seccomp":{"defaultAction":"SCMP_ACT_ALLOW"},
         "maskedPaths":["/a"],"readonlyPaths":["/b"],"sysctl":{"net.a":"b"},"personality":{"domain":"LINUX32"},
         "resources":{"devices":[{"allow":true,"type":"c","major":1,"minor":2,"access":"r"}],
           "memory":{"limit":1,"reservation":2,"swap":3,"kernelTCP":4,"swappiness":5,"disableOOMKiller":true,
             "useHierarchy":true,"checkBeforeUpdate":true},
           "cpu":{"shares":1,"quota":2,"burst":3,"period":4,"realtimeRuntime":5,"realtimePeriod":6,"cpus":"0","mems":"1",
             "idle":1},
           "pids":{"limit":1},
           "blockIO":{"weight":10,"weightDevice":[{"major":1,"minor":2,"weight":11}],
             "throttleReadBpsDevice":[{"major":1,"minor":2,"rate":3}],"throttleWriteBpsDevice":[{"major":1,"minor":2,"rate":3}],
             "throttleReadIOPSDevice":[{"major":1,"minor":2,"rate":3}],"throttleWriteIOPSDevice":[{"major":1,"minor":2,"rate":3}]},
           "hugepageLimits":[{"pageSize":"2MB","limit":1}],"network":{"classID":1,"priorities":[{"name":"eth0","priority":2}]},
           "rdma":{"mlx":{"hcaHandles":1,"hcaObjects":2}},"unified":{"memory.high":"1"}}}}
      """#
    let document = try JSONValue.parse(Array(full.utf8))
    let whole = try RuntimeConfiguration.read(document.bytes(), source: "full")
    #expect(whole.json.sorted() == document.sorted())
    // Leave out each member in turn: what is read differs, or the field was required.
    var tried = 0
    for (path, shorter) in document.withoutOneMember() {
      tried += 1
      // nil: it was required.
      let other = try? RuntimeConfiguration.read(shorter.bytes(), source: "full")
      #expect(other != whole, "\(path)")
    }
    #expect(tried > 120)
  }

  @Test func featuresNameWhatTheReaderTakes() throws {
    let features = RuntimeFeatures(
      seccomp: .init(actions: ["SCMP_ACT_ALLOW"], operators: [], architectures: [], flags: []), hasSystemd: false)
    let json = try #require(try JSONSerialization.jsonObject(with: Data(features.json.bytes())) as? [String: Any])
    let linux = try #require(json["linux"] as? [String: Any])
    for option in try #require(json["mountOptions"] as? [String]) {
      let type = option.contains("idmap") ? "bind" : "tmpfs"
      let bytes = try RuntimeConfigurationTests.document(
        "mounts", #"[{"destination":"/x","type":"\#(type)","options":["\#(option)"]}]"#)
      _ = try RuntimeConfiguration.read(bytes, source: "c")
    }
    for kind in try #require(linux["namespaces"] as? [String]) {
      let bytes = try RuntimeConfigurationTests.document("linux/namespaces", #"[{"type":"\#(kind)"}]"#)
      _ = try RuntimeConfiguration.read(bytes, source: "c")
    }
    for hook in try #require(json["hooks"] as? [String]) {
      let bytes = try RuntimeConfigurationTests.document("hooks/\(hook)", #"[{"path":"/x"}]"#)
      #expect(!(try RuntimeConfiguration.read(bytes, source: "c").hooks.isEmpty))
    }
    for (field, section) in [("intelRdt", "intelRdt")] {
      #expect((linux[section] as? [String: Bool])?["enabled"] == false)
      let bytes = try RuntimeConfigurationTests.document("linux/\(field)", #"{"x":1}"#)
      #expect(throws: FormatError.self) { _ = try RuntimeConfiguration.read(bytes, source: "c") }
    }
  }
}

extension JSONValue {
  /// The same document with the keys of every object in order.
  fileprivate func sorted() -> JSONValue {
    switch self {
    case .array(let elements): return .array(elements.map { $0.sorted() })
    case .object(let object):
      var result = JSONObject()
      for member in object.sorted(by: { $0.key < $1.key }) { result[member.key] = member.value.sorted() }
      return .object(result)
    default: return self
    }
  }

  /// Every document that has one member of one object less, with the member's path.
  fileprivate func withoutOneMember() -> [(String, JSONValue)] {
    switch self {
    case .array(let elements):
      return elements.enumerated().flatMap { index, element in
        element.withoutOneMember().map { path, shorter in
          var copy = elements
          copy[index] = shorter
          return ("[\(index)]" + path, .array(copy))
        }
      }
    case .object(let object):
      var result: [(String, JSONValue)] = []
      for member in object {
        var shorter = object
        shorter[member.key] = nil
        result.append(("." + member.key, JSONValue.object(shorter)))
        for (path, inner) in member.value.withoutOneMember() {
          var copy = object
          copy[member.key] = inner
          result.append(("." + member.key + path, JSONValue.object(copy)))
        }
      }
      return result
    default: return []
    }
  }
}
