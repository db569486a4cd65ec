public import Linux
public import Policy
public import Walls

/// The `user` network: a box reaches the Internet through a program without privileges (pasta, else slirp4netns), behind a
/// gateway namespace whose routes refuse private addresses and which the box cannot enter.
public enum UserNetwork {
  /// What the box's /etc/resolv.conf says: the address at which the helper answers for the host's resolver.
  public static let resolverConfiguration = "nameserver \(AddressPlan.nameServer)\n"

  /// Whether this machine and this user can have it, and if not what is missing.
  public static func availability(on host: Host) -> Availability {
    let network = HostNetwork(on: host)
    return network.lacks.isEmpty ? .ready(notes: network.notes) : .missing(network.lacks)
  }

  /// How a rule of the network is held by a wall that gives the box a network namespace of its own.
  /// `capabilities` are the box's (bit N is capability N).
  public static func enforcement(of rule: NetworkRule, capabilities: UInt64, on host: Host) -> Enforcement {
    switch rule {
    case .none: return .enforced("network namespace without devices")
    case .host: return .enforced("the host's network namespace")
    case .user(_, let allowPrivate):
      let network = HostNetwork(on: host)
      if let lack = network.lacks.first { return .unenforced("\(lack.what); \(lack.remedy)") }
      let helper = network.helper?.rawValue ?? ""
      if allowPrivate { return .enforced("\(helper) behind a gateway namespace") }
      let networkAdministration: UInt64 = 1 << 12
      if !host.isRoot && capabilities & networkAdministration != 0 {
        return .weaker(
          "\(helper) behind a gateway namespace; CAP_NET_ADMIN in the box of an unprivileged user reaches that namespace too"
        )
      }
      return .enforced("\(helper) behind a gateway namespace; its routes refuse private addresses")
    }
  }

  /// Connects a box that was raised and has not been started. Nothing is left behind when it throws; it ends within
  /// `UserNetworkStart.milliseconds`.
  /// - Parameters:
  ///   - box: the box's first process; its network namespace must be its own.
  ///   - namespaces: the box's, where its process does not let an unprivileged caller into them.
  ///   - directory: the sandbox's folder; `network/` is made in it.
  public static func start(
    for box: ProcessIdentity, namespaces: BoxNamespaces? = nil, ports: [PortForward], allowPrivate: Bool,
    directory: String, on host: Host
  ) throws(NetworkError) -> UserNetworkHandle {
    let network = HostNetwork(on: host)
    if let lack = network.lacks.first { throw NetworkError("\(lack.what); \(lack.remedy)") }
    guard let helper = network.helper, let program = helper.path else {
      throw NetworkError("pasta went away while the network was started; start again")
    }
    let start = UserNetworkStart(
      box: box, namespaces: namespaces, helper: helper, program: program, ports: ports, allowPrivate: allowPrivate,
      directory: directory,
      isRoot: host.isRoot)
    return try start.run()
  }

  /// Ends the helpers of a box, from what `start` gave to be recorded. May be called again, and after a reboot.
  public static func stop(details: [String: String]) {
    for identity in UserNetworkHandle.identities(in: details) { UserNetworkHandle.end(identity) }
  }
}

/// A started user-mode network.
public struct UserNetworkHandle: Sendable {
  /// pasta or slirp4netns.
  public let process: ProcessIdentity
  /// The process that carries published ports; nil where none is published.
  public let forwarder: ProcessIdentity?
  public let helper: HostNetwork.Helper

  /// For the sandbox's record: `UserNetwork.stop(details:)` needs them. Keys begin with "network.".
  public var details: [String: String] {
    var details = [
      "network.helper": helper.rawValue, "network.process": "\(process.pid) \(process.startTime)",
    ]
    if let forwarder { details["network.forwarder"] = "\(forwarder.pid) \(forwarder.startTime)" }
    return details
  }

  public func stop() { UserNetwork.stop(details: details) }

  static func identities(in details: [String: String]) -> [ProcessIdentity] {
    ["network.process", "network.forwarder"].compactMap { key in
      let parts = (details[key] ?? "").split(separator: " ")
      guard parts.count == 2, let pid = Int32(parts[0]), let start = UInt64(parts[1]) else { return nil }
      return ProcessIdentity(pid: pid, startTime: start)
    }
  }

  static func end(_ identity: ProcessIdentity) {
    // A helper that is gone, or not ours to signal, is as stopped as it can be: the caller is clearing up.
    guard let descriptor = try? identity.open() else { return }
    try? Process.signal(descriptor: descriptor.rawValue, 9)
    _ = try? Readiness.wait(descriptor.rawValue, milliseconds: 1000)
    // Reaps it where it is this process's own child; ECHILD otherwise.
    _ = try? Process.wait(identity.pid, block: false)
  }
}
