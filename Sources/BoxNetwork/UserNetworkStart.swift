import Linux
import Policy
import Walls

/// The steps that connect one box, each bounded in time; everything made is undone when one fails.
///
/// The box's namespace gets one end of a veth pair, a gateway namespace of ours the other, and the helper's tap device is in
/// the gateway. Packets of the box are *forwarded* there, so the gateway's routes decide, whatever the box's root does:
/// routes in the box itself would be no wall, since SO_BINDTODEVICE and packet sockets go round them.
struct UserNetworkStart {
  /// The bound on all of it.
  static let milliseconds: UInt64 = 2000

  let box: ProcessIdentity
  /// Where its process may not be looked into.
  let namespaces: BoxNamespaces?
  let helper: HostNetwork.Helper
  let program: String
  let ports: [PortForward]
  let allowPrivate: Bool
  let directory: String
  let isRoot: Bool

  /// The user that the helper runs as when root starts it: one per box, just below the ranges that boxes have their ids from.
  var helperUser: UInt32 { 0x1F00_0000 + UInt32(bitPattern: box.pid) }

  func run() throws(NetworkError) -> UserNetworkHandle {
    let deadline = Deadline(milliseconds: Self.milliseconds)
    let boxDescriptor = try attempt("find the box") { () throws(SystemError) in
      guard let descriptor = try box.open() else {
        throw SystemError("pidfd_open", "process \(box.pid)", .noProcess)
      }
      return descriptor
    }
    return try connect(boxDescriptor.rawValue, by: deadline)
  }

  private func connect(_ boxDescriptor: Int32, by deadline: Deadline) throws(NetworkError) -> UserNetworkHandle {
    // setns(2) takes a process's descriptor for any of its namespaces.
    let boxUser = namespaces?.user ?? boxDescriptor
    let folder = directory + "/network"
    do throws(NetworkError) {
      let listeners = try PublishedPorts(ports)
      try attempt("make \(folder)") { () throws(SystemError) in
        try File.makeDirectories(folder, mode: 0o700)
        if isRoot { try File.changeOwner(folder, user: helperUser, group: helperUser) }
      }
      let holder = try beginHolder(boxUser, by: deadline)
      let gateway = try attempt("open the gateway namespace") { () throws(SystemError) in
        try File.open("/proc/\(holder.child.pid)/ns/net", 0)
      }
      let plumber = try beginPlumber(boxUser, namespaces?.network ?? boxDescriptor, gateway: gateway.rawValue)
      try plumber.expect("connect the box", by: deadline)
      let place = HelperPlace(
        holder: holder.child.pid, holderDescriptor: holder.child.descriptor.rawValue, box: boxDescriptor,
        boxUser: boxUser, folder: folder, user: helperUser, isRoot: isRoot)
      let process =
        switch helper {
        case .pasta: try Pasta(program: program).start(in: place, by: deadline)
        case .slirp4netns: try Slirp4netns(program: program).start(in: place, by: deadline)
        }
      do throws(NetworkError) {
        try attempt("go on") { () throws(SystemError) in try plumber.proceed() }
        try plumber.expect("set up the gateway's routes", by: deadline)
        let forwarder = try listeners.startForwarder(in: place, helper: process, by: deadline)
        return UserNetworkHandle(process: process, forwarder: forwarder, helper: helper)
      } catch {
        UserNetworkHandle.end(process)
        throw error
      }
    } catch {
      // What is left of the folder matters less than why the network did not start.
      try? File.removeTree(folder)
      throw error
    }
  }

  /// A child that makes the gateway namespace and keeps it until the helper is in it.
  private func beginHolder(_ boxUser: Int32, by deadline: Deadline) throws(NetworkError) -> Errand {
    let asRoot = isRoot
    let holder = try attempt("make the gateway namespace") { () throws(SystemError) in
      try Errand.begin(flags: asRoot ? Namespaces.user | Namespaces.network : 0) { reports throws(SystemError) in
        if asRoot {
          guard try reports.waitForGo() else { return }
          try Identity.setGroups([])
        } else {
          try Namespaces.join(Namespaces.user, of: boxUser)
          try Namespaces.unshare(Namespaces.network)
        }
        try Identity.setGroup(0)
        try Identity.setUser(0)
        // The helper may look at it (ptrace(2), access mode checks) only if it has no more capabilities and is dumpable.
        try CapabilitySets().apply()
        try Identity.setDumpable(true)
        try reports.done()
        _ = try reports.waitForGo()
      }
    }
    if isRoot {
      try attempt("map the helper's user") { () throws(SystemError) in
        for file in ["uid_map", "gid_map"] {
          try File.writeExisting("/proc/\(holder.child.pid)/\(file)", "0 \(helperUser) 1\n")
        }
        try holder.proceed()
      }
    }
    try holder.expect("make the gateway namespace", by: deadline)
    return holder
  }

  /// A child that sets up both namespaces, and the gateway's way out once the helper has made its device.
  private func beginPlumber(_ boxUser: Int32, _ boxNetwork: Int32, gateway: Int32) throws(NetworkError) -> Errand {
    let plumbing = Plumbing(allowPrivate: allowPrivate)
    let asRoot = isRoot
    return try attempt("connect the box") { () throws(SystemError) in
      let hostAddresses = try RouteSocket().addresses()
      return try Errand.begin { reports throws(SystemError) in
        if !asRoot { try Namespaces.join(Namespaces.user, of: boxUser) }
        try Namespaces.join(Namespaces.network, of: boxNetwork)
        try plumbing.setUpBox(gateway: gateway)
        try Namespaces.join(network: gateway)
        try plumbing.setUpGateway(refusing: hostAddresses)
        try reports.done()
        guard try reports.waitForGo() else { return }
        try plumbing.openGateway()
        try reports.done()
      }
    }
  }
}

/// Runs system calls with an error of the network's.
func attempt<Value: ~Copyable>(
  _ what: String, _ body: () throws(SystemError) -> Value
) throws(NetworkError) -> Value {
  do { return try body() } catch { throw NetworkError(what, error) }
}

extension Namespaces {
  /// Joins the network namespace that a descriptor of /proc/PID/ns/net is open on (setns(2)).
  static func join(network descriptor: Int32) throws(SystemError) {
    try join(network, of: descriptor)
  }
}
