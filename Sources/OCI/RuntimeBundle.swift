import CLinux
import Formats
import Linux
import Policy
import Seccomp
import Walls

/// A bundle on disk (bundle.md): its folder, and what its config.json says.
struct RuntimeBundle {
  /// Absolute.
  let path: String
  let configuration: RuntimeConfiguration
  /// The text of config.json, kept with the container: the bundle may be gone when it is deleted.
  let text: [UInt8]

  init(path: String?) throws(RuntimeFailure) {
    self.path = RuntimePath.absolute(path ?? ".")
    let file = self.path + "/config.json"
    do throws(SystemError) { text = try File.contents(file, limit: 16 << 20) } catch {
      if error.errno == .noEntry {
        throw RuntimeFailure("JSON specification file config.json not found in \(self.path)")
      }
      throw RuntimeFailure("\(file): \(error.errno)")
    }
    configuration = try RuntimeBundle.read(text, source: file)
  }

  static func read(_ text: [UInt8], source: String) throws(RuntimeFailure) -> RuntimeConfiguration {
    do throws(FormatError) { return try RuntimeConfiguration.read(text, source: source) } catch {
      throw RuntimeFailure("\(error)")
    }
  }

  /// The root filesystem's folder, absolute. A link in its place is refused: whoever unpacked the image would have chosen the container's
  /// root anywhere on the host (CVE-2021-29136's class); the wall opens it so, too.
  func root() throws(RuntimeFailure) -> String {
    guard let root = configuration.rootPath, !root.isEmpty else {
      throw RuntimeFailure("\(path)/config.json: root.path is missing and must be there")
    }
    let whole = RuntimePath.absolute(root.hasPrefix("/") ? root : path + "/" + root)
    let isLink: Bool
    do throws(SystemError) {
      let status = try File.status(whole, followSymlinks: false)
      isLink = File.kind(status) == S_IFLNK
      guard isLink || File.kind(status) == S_IFDIR else { throw SystemError("open", whole, .notDirectory) }
    } catch {
      throw RuntimeFailure("root filesystem \(whole): \(RuntimeFailure.lowered(error.errno))")
    }
    if isLink {
      throw RuntimeFailure("root filesystem \(whole): it is a symbolic link: name the folder that it leads to")
    }
    return whole
  }

  /// What the wall is given.
  func walled(id: String, container: String, _ session: RuntimeSession, preserved: [Int32]) throws(RuntimeFailure)
    -> Bundle
  {
    var configuration = configuration
    // A group that no other state root's container of that id has; every controller counts in it.
    if configuration.cgroupsPath == nil && session.host.isRoot && !session.usesSystemd {
      configuration.cgroupsPath = "/immure/oci-\(RuntimeBundle.mark(of: session.store.root))-\(id)"
    }
    configuration.process.capabilities.leaveOutWhatCannotBeAmbient()
    // Bind mounts of a bundle may be relative to it.
    for index in configuration.mounts.indices {
      let mount = configuration.mounts[index]
      let isBind = mount.type == "bind" || mount.options.contains("bind") || mount.options.contains("rbind")
      if isBind && !mount.source.hasPrefix("/") { configuration.mounts[index].source = path + "/" + mount.source }
    }
    let filter = try self.filter()
    var bundle = Bundle(
      id: id, directory: session.store.directory(id), configuration: configuration,
      root: .directory(path: try root(), readOnly: configuration.rootReadOnly), filter: filter?.compiled,
      policy: Policy(), usesInit: false, preservedDescriptors: preserved)
    bundle.seccompListener = filter?.listener
    bundle.usesSystemd = session.usesSystemd
    bundle.hookState = HookState(
      version: configuration.ociVersion, id: container, bundle: path, annotations: configuration.annotations)
    return bundle
  }

  /// Eight digits that tell one state root from another (FNV-1a).
  private static func mark(of root: String) -> String {
    var hash: UInt32 = 0x811c_9dc5
    for byte in root.utf8 { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 8 - digits.utf8.count) + digits
  }

  /// The compiled `linux.seccomp`; nil where there is none.
  private func filter() throws(RuntimeFailure) -> (compiled: SeccompFilter, listener: SeccompListener?)? {
    guard let node = configuration.seccompNode else { return nil }
    do throws(FormatError) {
      let context = ProfileContext(
        capabilities: configuration.process.capabilities.bounding, kernel: RuntimeBundle.kernel())
      let rules = try ProfileRules(json: node, context)
      let program = try compile(SeccompProfile(rules))
      var filter = SeccompFilter(
        instructions: program.instructions.map {
          UInt64($0.code) | UInt64($0.jt) << 16 | UInt64($0.jf) << 24 | UInt64($0.k) << 32
        }, flags: program.flags.rawValue)
      guard rules.usesNotify, let path = rules.listenerPath else { return (filter, nil) }
      try RuntimeBundle.checkNotified(rules, node)
      // The one thread there is needs no synchronising, which the kernel does not do together with a listener.
      let newListener: UInt32 = 1 << 3
      filter.flags = filter.flags & ~FilterFlags.tsync.rawValue | newListener
      return (filter, SeccompListener(path: path, metadata: rules.listenerMetadata))
    } catch {
      throw RuntimeFailure("\(path)/config.json: \(error)")
    }
  }

  /// The filter stands when its listener is sent: calls that this needs must not wait for the one who is to get it.
  private static func checkNotified(_ rules: ProfileRules, _ node: JSONNode) throws(FormatError) {
    for name in ["sendmsg", "close", "exit_group"] {
      let rule = rules.rules.first { $0.conditions.isEmpty && $0.names.contains(name) }
      let action = rule?.action ?? rules.defaultAction
      if action == .notify || rules.rules.contains(where: { $0.action == .notify && $0.names.contains(name) }) {
        throw node.failure("notifies of \(name), by which the listener itself is handed over: leave that call out")
      }
    }
  }

  private func compile(_ profile: SeccompProfile) throws(FormatError) -> SeccompProgram {
    do throws(SeccompError) { return try profile.compile() } catch {
      throw FormatError("\(error)", keyPath: "linux.seccomp")
    }
  }

  private static func kernel() -> (major: UInt32, minor: UInt32) {
    let text = (try? File.text("/proc/sys/kernel/osrelease")) ?? ""
    let numbers = text.split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap { UInt32($0) }
    return numbers.count == 2 ? (numbers[0], numbers[1]) : (5, 11)
  }
}

extension RuntimeFailure {
  /// As Go and Docker spell an error: "no such file or directory". Docker makes exit statuses of these words.
  static func lowered(_ errno: Errno) -> String { errno.description.lowercased() }
}
