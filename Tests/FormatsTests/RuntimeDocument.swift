import Foundation

/// config.json as JSONDecoder reads it: the oracle for our own reader. Optional fields are as they stand in the document.
struct RuntimeDocument: Decodable, Equatable {
  struct Root: Decodable, Equatable {
    var path: String
    var readonly: Bool?
  }
  struct Mapping: Decodable, Equatable {
    var containerID: UInt32
    var hostID: UInt32
    var size: UInt32
  }
  struct Mount: Decodable, Equatable {
    var destination: String
    var type: String?
    var source: String?
    var options: [String]?
    var uidMappings: [Mapping]?
  }
  struct Process: Decodable, Equatable {
    struct User: Decodable, Equatable {
      var uid: UInt32
      var gid: UInt32
      var umask: UInt32?
      var additionalGids: [UInt32]?
    }
    struct Limit: Decodable, Equatable {
      var type: String
      var soft: UInt64
      var hard: UInt64
    }
    var terminal: Bool?
    var args: [String]
    var env: [String]?
    var cwd: String
    var user: User?
    var capabilities: [String: [String]]?
    var rlimits: [Limit]?
    var noNewPrivileges: Bool?
    var oomScoreAdj: Int?
  }
  struct Hook: Decodable, Equatable {
    var path: String
    var args: [String]?
    var env: [String]?
    var timeout: Int?
  }
  struct Linux: Decodable, Equatable {
    struct Namespace: Decodable, Equatable {
      var type: String
      var path: String?
    }
    struct Device: Decodable, Equatable {
      var path: String
      var type: String
      var major: Int64?
      var minor: Int64?
      var fileMode: UInt32?
    }
    struct Resources: Decodable, Equatable {
      struct Rule: Decodable, Equatable {
        var allow: Bool
        var type: String?
        var major: Int64?
        var minor: Int64?
        var access: String?
      }
      struct Memory: Decodable, Equatable {
        var limit: Int64?
        var reservation: Int64?
        var swap: Int64?
        var disableOOMKiller: Bool?
      }
      struct CPU: Decodable, Equatable {
        var shares: UInt64?
        var quota: Int64?
        var period: UInt64?
        var cpus: String?
      }
      struct PIDs: Decodable, Equatable { var limit: Int64? }
      var devices: [Rule]?
      var memory: Memory?
      var cpu: CPU?
      var pids: PIDs?
    }
    var namespaces: [Namespace]?
    var uidMappings: [Mapping]?
    var gidMappings: [Mapping]?
    var devices: [Device]?
    var cgroupsPath: String?
    var resources: Resources?
    var maskedPaths: [String]?
    var readonlyPaths: [String]?
    var sysctl: [String: String]?
    var rootfsPropagation: String?
  }
  var ociVersion: String
  var root: Root
  var process: Process
  var hostname: String?
  var mounts: [Mount]?
  var annotations: [String: String]?
  var hooks: [String: [Hook]]?
  var linux: Linux?

  init(_ bytes: [UInt8]) throws {
    self = try JSONDecoder().decode(RuntimeDocument.self, from: Data(bytes))
    // What is said by leaving out, or by an empty value, is one thing.
    if process.terminal == false { process.terminal = nil }
    if process.noNewPrivileges == false { process.noNewPrivileges = nil }
    if process.user?.additionalGids?.isEmpty == true { process.user?.additionalGids = nil }
    process.capabilities = process.capabilities?.mapValues { $0.sorted() }.filter { !$0.value.isEmpty }
    if process.capabilities?.isEmpty == true { process.capabilities = nil }
    if root.readonly == false { root.readonly = nil }
    hooks = hooks?.filter { !$0.value.isEmpty }
    if hooks?.isEmpty == true { hooks = nil }
    for index in (mounts ?? []).indices where mounts?[index].options?.isEmpty == true { mounts?[index].options = nil }
    for index in (linux?.resources?.devices ?? []).indices where linux?.resources?.devices?[index].type == nil {
      linux?.resources?.devices?[index].type = "a"
    }
    if linux?.sysctl?.isEmpty == true { linux?.sysctl = nil }
    for index in (linux?.namespaces ?? []).indices where linux?.namespaces?[index].path == "" {
      linux?.namespaces?[index].path = nil
    }
    if linux?.resources?.pids?.limit == nil { linux?.resources?.pids = nil }
    if linux?.resources?.cpu == Linux.Resources.CPU() { linux?.resources?.cpu = nil }
    if linux?.resources?.memory == Linux.Resources.Memory() { linux?.resources?.memory = nil }
    if linux?.resources == Linux.Resources() { linux?.resources = nil }
  }
}
