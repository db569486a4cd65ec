import Formats
import Linux
import Walls

/// systemd as it is spoken with (org.freedesktop.systemd1(5)): the machine's for root, a user's own for anybody else.
struct SystemdManager {
  private let bus: BusConnection
  private static let name = "org.freedesktop.systemd1"
  private static let path = "/org/freedesktop/systemd1"
  private static let interface = "org.freedesktop.systemd1.Manager"

  /// Whether the machine's first process is systemd (sd_booted(3)).
  static var isRunning: Bool { File.exists("/run/systemd/system") }

  /// Through the bus, else by its private socket, behind which no bus has to run.
  init(_ host: Host) throws(WallError) {
    let places = try Self.places(host)
    var failure: WallError?
    for (path, throughBus) in places where File.exists(path) {
      do throws(WallError) {
        self.init(bus: try BusConnection(path, throughBus: throughBus))
        if throughBus { try watchJobs() }
        return
      } catch {
        failure = failure ?? error
      }
    }
    throw failure
      ?? WallError(
        "systemd cgroup driver: no manager is there: none of \(places.map(\.path).joined(separator: ", ")) exists")
  }

  private init(bus: BusConnection) { self.bus = bus }

  private static func places(_ host: Host) throws(WallError) -> [(path: String, throughBus: Bool)] {
    if host.isRoot { return [("/run/dbus/system_bus_socket", true), ("/run/systemd/private", false)] }
    guard let folder = Process.environment("XDG_RUNTIME_DIR"), folder.hasPrefix("/") else {
      throw WallError("systemd cgroup driver: XDG_RUNTIME_DIR is not set: log in through systemd, or use cgroupfs")
    }
    var places: [(path: String, throughBus: Bool)] = []
    // One address of a Unix socket ("Server Addresses"); other transports reach no manager of this machine.
    for address in (Process.environment("DBUS_SESSION_BUS_ADDRESS") ?? "").split(separator: ";") {
      guard address.hasPrefix("unix:path=") else { continue }
      let path = address.dropFirst("unix:path=".count).prefix { $0 != "," }
      if path.hasPrefix("/") { places.append((String(path), true)) }
    }
    return places + [(folder + "/bus", true), (folder + "/systemd/private", false)]
  }

  /// Who is connected to the manager itself gets its signals unasked.
  private func watchJobs() throws(WallError) {
    let match = "type='signal',sender='\(Self.name)',interface='\(Self.interface)',member='JobRemoved'"
    _ = try bus.demand(
      try bus.call(
        "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", [.string(match)]),
      "AddMatch")
    _ = try call("Subscribe", [])
  }

  private func call(_ member: String, _ body: [BusValue]) throws(WallError) -> BusConnection.Reply {
    try bus.call(Self.name, Self.path, Self.interface, member, body)
  }

  /// The control group that all units of this manager stand below: "" for the machine's.
  func controlGroup() throws(WallError) -> String {
    let reply = try bus.call(
      Self.name, Self.path, "org.freedesktop.DBus.Properties", "Get",
      [.string(Self.interface), .string("ControlGroup")])
    guard case .variant(.string(let path)) = try bus.demand(reply, "ControlGroup").first else {
      throw WallError("systemd: ControlGroup is not a string")
    }
    return path == "/" ? "" : path
  }

  /// Makes a unit and waits until it stands. One of that name that has failed is in nobody's way.
  func start(_ unit: String, _ properties: [(name: String, value: BusValue)]) throws(WallError) {
    let body: [BusValue] = [
      .string(unit), .string("replace"), .properties(properties), .array(of: "(sa(sv))", []),
    ]
    var reply = try call("StartTransientUnit", body)
    if case .failure("org.freedesktop.systemd1.UnitExists", _) = reply {
      _ = try call("ResetFailedUnit", [.string(unit)])
      reply = try call("StartTransientUnit", body)
    }
    try finish(try bus.demand(reply, "the unit \(unit)"), unit)
  }

  /// Other limits for a unit that stands, until it ends.
  func set(_ unit: String, _ properties: [(name: String, value: BusValue)]) throws(WallError) {
    _ = try bus.demand(
      try call("SetUnitProperties", [.string(unit), .boolean(true), .properties(properties)]), "the unit \(unit)")
  }

  /// Ends a unit and waits until it is gone; one that is gone already is well.
  func stop(_ unit: String) throws(WallError) {
    let reply = try call("StopUnit", [.string(unit), .string("replace")])
    if case .failure("org.freedesktop.systemd1.NoSuchUnit", _) = reply { return }
    let job = try bus.demand(reply, "the unit \(unit)")
    try finish(job, unit)
    // One that failed (a process was killed for its memory) is kept until somebody has seen it.
    _ = try call("ResetFailedUnit", [.string(unit)])
  }

  private func finish(_ reply: [BusValue], _ unit: String) throws(WallError) {
    guard case .objectPath(let job) = reply.first else { throw WallError("systemd: no job for the unit \(unit)") }
    let removed = try bus.signal { $0.member == "JobRemoved" && $0.body.dropFirst().first == .objectPath(job) }
    guard case .string(let result) = removed.body.last, result == "done" else {
      throw WallError("systemd: the unit \(unit): its job ended with \(removed.body.last.map { "\($0)" } ?? "nothing")")
    }
  }
}
