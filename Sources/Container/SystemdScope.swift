import Formats
import Linux
import Walls

/// A box's control group as a transient scope of systemd's (systemd.scope(5)): who made it, under which slice, and where it stands.
struct SystemdScope: Sendable {
  let unit: String
  let slice: String
  let description: String
  /// The group's folder.
  let folder: String
  /// Properties that annotations ask for.
  let further: [(name: String, value: BusValue)]

  /// What a bundle asks for by `--systemd-cgroup` and a path "SLICE:PREFIX:NAME" (as runc and crun read it); nil where it does not.
  init?(_ bundle: Bundle, on host: Host) throws(WallError) {
    guard bundle.usesSystemd else { return nil }
    let layout = CgroupLayout.detect()
    guard layout.mode == .unified else {
      throw WallError(
        "systemd cgroup driver: control groups are \(layout.mode.rawValue) here, and it is built for version 2 alone: use cgroupfs"
      )
    }
    let parts: [String]
    if let path = bundle.configuration.cgroupsPath {
      parts = path.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 3 else {
        throw WallError(
          "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \"\(FormatError.presentable(path))\" instead"
        )
      }
    } else {
      parts = ["", "immure", bundle.id]
    }
    slice = parts[0].isEmpty ? (host.isRoot ? "system.slice" : "user.slice") : parts[0]
    unit = try Self.unit(prefix: parts[1], name: parts[2])
    description = "immure container " + bundle.id
    further = try Self.further(bundle.configuration.annotations)
    let below = try Self.path(ofSlice: slice)
    let manager = try SystemdManager(host)
    folder = layout.mountPoint + (try manager.controlGroup()) + below + "/" + unit
  }

  static func unit(prefix: String, name: String) throws(WallError) -> String {
    if name.hasSuffix(".slice") {
      throw WallError(
        "linux.cgroupsPath: \"\(FormatError.presentable(name))\": a slice as a container's own group is not supported")
    }
    let unit = (prefix.isEmpty ? "" : prefix + "-") + name + ".scope"
    // systemd.unit(5): letters, digits and :-_.\ up to 255 characters; "@" would be an instance.
    guard !name.isEmpty, unit.utf8.count <= 255, unit.utf8.allSatisfy(isAllowed) else {
      throw WallError("linux.cgroupsPath: \"\(FormatError.presentable(unit))\" is not a unit's name")
    }
    return unit
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    (byte >= 48 && byte <= 58) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122)
      || [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "\\")].contains(byte)
  }

  /// "a-b.slice" stands at /a.slice/a-b.slice, and "-.slice" at the top (systemd.slice(5)).
  static func path(ofSlice slice: String) throws(WallError) -> String {
    let failure = WallError("linux.cgroupsPath: \"\(FormatError.presentable(slice))\" is not a slice's name")
    guard slice.hasSuffix(".slice"), slice.utf8.count <= 255, slice.utf8.allSatisfy(isAllowed) else { throw failure }
    if slice == "-.slice" { return "" }
    let parts = slice.dropLast(".slice".count).split(separator: "-", omittingEmptySubsequences: false)
    guard parts.allSatisfy({ !$0.isEmpty }) else { throw failure }
    return (1...parts.count).map { "/" + parts.prefix($0).joined(separator: "-") + ".slice" }.joined()
  }

  // MARK: Annotations

  static let annotation = "org.systemd.property."
  /// What the wall itself decides.
  static let own = [
    "PIDs", "Slice", "Delegate", "DelegateSubgroup", "DefaultDependencies", "Description", "CollectMode", "Controller",
    "DevicePolicy", "DeviceAllow", "DisableControllers",
  ]

  /// "org.systemd.property.NAME" with a value in GVariant's text format; "NAMESec" takes seconds, as in unit files.
  static func further(_ annotations: [String: String]) throws(WallError) -> [(name: String, value: BusValue)] {
    var list: [(name: String, value: BusValue)] = []
    for (key, text) in annotations.sorted(by: { $0.key < $1.key }) where key.hasPrefix(annotation) {
      var name = String(key.dropFirst(annotation.count))
      func failure(_ why: String) -> WallError { WallError("annotation \(FormatError.presentable(key)): \(why)") }
      guard !name.isEmpty, name.utf8.allSatisfy({ ($0 >= 65 && $0 <= 90) || ($0 >= 97 && $0 <= 122) }) else {
        throw failure("not a property's name")
      }
      if own.contains(name) { throw failure("is decided by the container wall itself: leave it out") }
      var value: BusValue
      do throws(FormatError) { value = try BusText.parse(text) } catch { throw failure("\(error)") }
      if name.hasSuffix("Sec") && !name.hasSuffix("USec") {
        guard let seconds = value.count, !seconds.multipliedReportingOverflow(by: 1_000_000).overflow else {
          throw failure("\"\(FormatError.presentable(text))\" is not a number of seconds")
        }
        name = name.dropLast(3) + "USec"
        value = .uint64(seconds * 1_000_000)
      }
      list.append((name, value))
    }
    return list
  }

  // MARK: Life

  /// The group that the scope will be.
  var group: Cgroup { Cgroup(places: [Cgroup.Place(controller: nil, path: folder)]) }

  /// Makes the scope around a process, with the limits: systemd holds to them when it reads its files anew.
  func start(_ pid: Int32, _ limits: CgroupLimits, on host: Host) throws(WallError) {
    var properties: [(name: String, value: BusValue)] = [
      ("Description", .string(description)), ("Slice", .string(slice)), ("Delegate", .boolean(true)),
      ("PIDs", .array(of: "u", [.uint32(UInt32(bitPattern: pid))])), ("DefaultDependencies", .boolean(false)),
      // A scope whose process was killed for its memory must not keep the name.
      ("CollectMode", .string("inactive-or-failed")),
    ]
    for name in ["MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting"] {
      properties.append((name, .boolean(true)))
    }
    properties += SystemdProperties.of(limits)
    let manager = try SystemdManager(host)
    try manager.start(unit, properties + further)
  }
}

extension BusValue {
  /// A number that is not below zero.
  fileprivate var count: UInt64? {
    switch self {
    case .byte(let number): UInt64(number)
    case .uint16(let number): UInt64(number)
    case .uint32(let number): UInt64(number)
    case .uint64(let number): number
    case .int16(let number): UInt64(exactly: number)
    case .int32(let number): UInt64(exactly: number)
    case .int64(let number): UInt64(exactly: number)
    default: nil
    }
  }
}
