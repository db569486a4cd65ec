/// An object of the OCI runtime specification 1.3 and what is done with each of its fields: the reader, `features` and docs/oci-fields.md
/// all stand on these tables, so none can say otherwise than another.
public struct SpecificationObject: Sendable {
  /// Read into the configuration.
  public let held: [String]
  /// Known to the specification and refused where they say something, with the reason.
  public let refused: [(name: String, why: String)]

  init(_ held: [String], refused: [(name: String, why: String)] = []) {
    self.held = held
    self.refused = refused
  }

  public static let root = SpecificationObject(
    ["ociVersion", "root", "mounts", "process", "hostname", "domainname", "hooks", "annotations", "linux"],
    refused: ["solaris", "windows", "vm", "zos", "freebsd"].map { ($0, "it is for another platform than Linux") })
  public static let rootFilesystem = SpecificationObject(["path", "readonly"])
  public static let mount = SpecificationObject([
    "destination", "source", "type", "options", "uidMappings", "gidMappings",
  ])
  public static let process = SpecificationObject(
    [
      "terminal", "consoleSize", "cwd", "env", "args", "rlimits", "capabilities", "noNewPrivileges", "oomScoreAdj",
      "scheduler", "ioPriority", "execCPUAffinity", "user",
    ],
    refused: [
      ("commandLine", "it is for Windows; use args"), ("apparmorProfile", "AppArmor labels are not set"),
      ("selinuxLabel", "SELinux labels are not set"),
    ])
  public static let consoleSize = SpecificationObject(["height", "width"])
  public static let rlimit = SpecificationObject(["type", "soft", "hard"])
  public static let capabilities = SpecificationObject([
    "bounding", "effective", "permitted", "inheritable", "ambient",
  ])
  public static let scheduler = SpecificationObject([
    "policy", "nice", "priority", "flags", "runtime", "deadline", "period",
  ])
  public static let ioPriority = SpecificationObject(["class", "priority"])
  public static let cpuAffinity = SpecificationObject(["initial", "final"])
  public static let user = SpecificationObject(
    ["uid", "gid", "umask", "additionalGids"], refused: [("username", "it is for Windows; use uid")])
  public static let hooks = SpecificationObject(HookConfiguration.Moment.allCases.map(\.rawValue))
  public static let hook = SpecificationObject(["path", "args", "env", "timeout"])
  public static let linux = SpecificationObject(
    [
      "namespaces", "uidMappings", "gidMappings", "timeOffsets", "devices", "netDevices", "cgroupsPath", "resources",
      "rootfsPropagation", "seccomp", "maskedPaths", "readonlyPaths", "sysctl", "personality",
    ],
    refused: [
      ("mountLabel", "SELinux labels are not set"), ("intelRdt", "cache and memory bandwidth are not allotted"),
      ("memoryPolicy", "memory is not bound to nodes; use resources.cpu.mems"),
    ])
  public static let namespace = SpecificationObject(["type", "path"])
  public static let idMapping = SpecificationObject(["containerID", "hostID", "size"])
  public static let timeOffset = SpecificationObject(["secs", "nanosecs"])
  public static let device = SpecificationObject(["type", "path", "major", "minor", "fileMode", "uid", "gid"])
  public static let netDevice = SpecificationObject(["name"])
  public static let personality = SpecificationObject(
    ["domain"], refused: [("flags", "the specification names none")])
  public static let resources = SpecificationObject([
    "devices", "memory", "cpu", "pids", "blockIO", "hugepageLimits", "network", "rdma", "unified",
  ])
  public static let deviceRule = SpecificationObject(["allow", "type", "major", "minor", "access"])
  public static let memory = SpecificationObject(
    [
      "limit", "reservation", "swap", "kernelTCP", "swappiness", "disableOOMKiller", "useHierarchy",
      "checkBeforeUpdate",
    ], refused: [("kernel", "Linux has no limit of kernel memory any more (since 5.16)")])
  public static let cpu = SpecificationObject([
    "shares", "quota", "burst", "period", "realtimeRuntime", "realtimePeriod", "cpus", "mems", "idle",
  ])
  public static let pids = SpecificationObject(["limit"])
  public static let blockIO = SpecificationObject(
    [
      "weight", "weightDevice", "throttleReadBpsDevice", "throttleWriteBpsDevice", "throttleReadIOPSDevice",
      "throttleWriteIOPSDevice",
    ], refused: [("leafWeight", "Linux has no leaf weights any more (since 5.0)")])
  public static let weightDevice = SpecificationObject(
    ["major", "minor", "weight"], refused: [("leafWeight", "Linux has no leaf weights any more (since 5.0)")])
  public static let throttleDevice = SpecificationObject(["major", "minor", "rate"])
  public static let hugepageLimit = SpecificationObject(["pageSize", "limit"])
  public static let network = SpecificationObject(["classID", "priorities"])
  public static let networkPriority = SpecificationObject(["name", "priority"])
  public static let rdma = SpecificationObject(["hcaHandles", "hcaObjects"])

  /// Every object by its name in this file.
  public static let all: [(name: String, object: SpecificationObject)] = [
    ("root", .root),
    ("rootFilesystem", .rootFilesystem),
    ("mount", .mount),
    ("process", .process),
    ("consoleSize", .consoleSize),
    ("rlimit", .rlimit),
    ("capabilities", .capabilities),
    ("scheduler", .scheduler),
    ("ioPriority", .ioPriority),
    ("cpuAffinity", .cpuAffinity),
    ("user", .user),
    ("hooks", .hooks),
    ("hook", .hook),
    ("linux", .linux),
    ("namespace", .namespace),
    ("idMapping", .idMapping),
    ("timeOffset", .timeOffset),
    ("device", .device),
    ("netDevice", .netDevice),
    ("personality", .personality),
    ("resources", .resources),
    ("deviceRule", .deviceRule),
    ("memory", .memory),
    ("cpu", .cpu),
    ("pids", .pids),
    ("blockIO", .blockIO),
    ("weightDevice", .weightDevice),
    ("throttleDevice", .throttleDevice),
    ("hugepageLimit", .hugepageLimit),
    ("network", .network),
    ("networkPriority", .networkPriority),
    ("rdma", .rdma),
  ]
}
