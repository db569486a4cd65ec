import CLinux
import Linux
import Policy

/// Host ports that lead into the box. They are opened by the command itself, so that root may publish low ports, and carried
/// by a process of ours: pasta would hand local connections to the gateway's loopback, and show the box peers with private
/// addresses that the gateway then refuses to answer.
struct PublishedPorts: ~Copyable {
  struct Listener {
    let descriptor: Int32
    let boxPort: UInt16
    let isUDP: Bool
  }
  let listeners: [Listener]

  init(_ ports: [PortForward]) throws(NetworkError) {
    var opened: [Listener] = []
    do throws(NetworkError) {
      for port in ports {
        opened.append(
          Listener(descriptor: try PublishedPorts.open(port).release(), boxPort: port.boxPort, isUDP: port.udp))
      }
    } catch {
      for listener in opened { _ = FileDescriptor(owning: listener.descriptor) }
      throw error
    }
    listeners = opened
  }

  deinit {
    for listener in listeners { _ = FileDescriptor(owning: listener.descriptor) }
  }

  private static func open(_ port: PortForward) throws(NetworkError) -> FileDescriptor {
    let name = "\(port.address.map { $0 + ":" } ?? "")\(port.hostPort)\(port.udp ? "/udp" : "")"
    do throws(SystemError) {
      if let text = port.address {
        guard let address = IPv4Address(text) else { throw SystemError("bind", text, .invalid) }
        return try InternetSocket.listen(
          on: InternetSocket.address(address, port: port.hostPort), datagrams: port.udp)
      }
      do throws(SystemError) {
        return try InternetSocket.listen(on: InternetSocket.anyAddress(port: port.hostPort), datagrams: port.udp)
      } catch  where error.errno == Errno(rawValue: EAFNOSUPPORT) {
        let every = IPv4Address(0, 0, 0, 0)
        return try InternetSocket.listen(on: InternetSocket.address(every, port: port.hostPort), datagrams: port.udp)
      }
    } catch {
      let remedy =
        switch error.errno {
        case Errno(rawValue: EADDRINUSE): "another program has it; choose another host port"
        case .accessDenied: "ports below net.ipv4.ip_unprivileged_port_start are root's; choose a higher host port"
        case Errno(rawValue: EADDRNOTAVAIL): "this host does not have that address"
        case .invalid: "the address must be one of this host's IPv4 addresses"
        default: "\(error)"
        }
      throw NetworkError("port \(name) cannot be published: \(remedy)")
    }
  }

  /// Forks the process that carries the ports; nil where none is published.
  borrowing func startForwarder(
    in place: HelperPlace, helper: ProcessIdentity, by deadline: Deadline
  ) throws(NetworkError) -> ProcessIdentity? {
    if listeners.isEmpty { return nil }
    let listeners = listeners
    return try attempt("carry published ports") { () throws(SystemError) in
      guard let helperDescriptor = try helper.open() else { throw SystemError("the helper", "", .noProcess) }
      let helperRaw = helperDescriptor.rawValue
      let (readRaw, writeEnd) = try DescriptorPair.pipe().release()
      let readEnd = FileDescriptor(owning: readRaw)
      guard let child = try Process.clone(CloneArguments(flags: 0)) else {
        do throws(SystemError) {
          let box = try place.enterForwarder(keeping: listeners.map(\.descriptor) + [writeEnd, helperRaw])
          try File.writeAll(writeEnd, [0])
          _ = FileDescriptor(owning: writeEnd)
          try Forwarder(listeners, box: box).run()
          // Whoever should stop the helper may have been killed: without a box it has nothing to do.
          try Process.signal(descriptor: helperRaw, 9)
          Process.exit(0)
        } catch {
          // Before it is ready somebody reads this; afterwards the descriptor is closed and there is nobody to tell.
          try? File.writeAll(writeEnd, error.description)
          Process.exit(1)
        }
      }
      _ = FileDescriptor(owning: writeEnd)
      let identity = ProcessIdentity(pid: child.pid)
      let answered = try Readiness.wait(readEnd.rawValue, milliseconds: deadline.left)
      let report = answered ? try File.read(readEnd.rawValue, atMost: 512) : []
      if report == [0], let identity { return identity }
      // Gone already is what is wanted.
      try? child.signal(9)
      _ = try? child.wait()
      throw SystemError(
        "the forwarder", String(decoding: report, as: UTF8.self), answered ? .noProcess : .timedOut)
    }
  }
}

extension HelperPlace {
  /// Takes this process, a forked child, into the gateway namespace without privileges, files or terminals; returns the
  /// box's pidfd, the one other descriptor that is kept.
  func enterForwarder(keeping descriptors: [Int32]) throws(SystemError) -> Int32 {
    try HelperPlace.detachFromTerminal(ignoringPipes: true)
    try FileDescriptor.closeAll(but: descriptors + [box, boxUser, holderDescriptor])
    try checked("chdir", folder, folder.withPathAddress { systemCall(Int(SYS_chdir), $0) })
    try Namespaces.join(Namespaces.user, of: isRoot ? holderDescriptor : boxUser)
    try Namespaces.join(Namespaces.network, of: holderDescriptor)
    if boxUser != box { _ = FileDescriptor(owning: boxUser) }
    if isRoot { try Identity.setGroups([]) }
    try Identity.setGroup(0)
    try Identity.setUser(0)
    try checked("chroot", folder, ".".withPathAddress { systemCall(Int(SYS_chroot), $0) })
    try Capability.limitBounding(to: 0)
    try CapabilitySets().apply()
    try Identity.forbidNewPrivileges()
    try Identity.setDumpable(false)
    return box
  }
}
