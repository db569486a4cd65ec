import CLinux
import Formats
import Linux
import Policy
import Trees
import Walls

/// What copies for want of overlayfs may cost.
struct CopyBounds {
  /// Of the file system in memory that the copy and all that is written later share.
  let scratch: UInt64?
  /// Of the whole box: the copy counts as its memory.
  let memory: UInt64?

  init(_ bundle: Bundle) {
    scratch = bundle.policy.limits.scratch?.value
    memory = bundle.configuration.resources.memoryLimit.flatMap { $0 > 0 ? UInt64($0) : nil }
  }

  /// The builder's own needs are left free: a copy that ran into the limit itself would be killed without a word.
  var copy: UInt64 { memory.map { $0 > Self.builder ? $0 - Self.builder : 0 } ?? .max }
  private static let builder: UInt64 = 16 << 20
}

/// Trees copied into the box's memory where the kernel has no overlay of them. Nobody but the box's builder ever sees the copy
/// elsewhere, its size is the scratch limit, and it goes with the box's last process, whoever is killed when.
struct LayerCopy {
  let userAttributes: Bool
  let bounds: CopyBounds
  /// What the overlay failed with.
  let refusal: SystemError
  /// To the parent.
  let channel: Int32

  static func reason(_ refusal: SystemError) -> String {
    let why =
      switch refusal.errno {
      case .noDevice: "the kernel has none"
      case .loop: "layers overlap"
      case let errno: errno.description
      }
    return "overlayfs is not to be had here (\(why))"
  }

  /// What an overlay of the layers would show, the topmost first, in a file system of its own.
  func image(_ layers: [Int32]) throws(WallError) -> DetachedMount {
    let began = Clock.monotonicNanoseconds()
    do throws(SystemError) {
      let memory = try RootAssembly.memory(bounds.scratch ?? UInt64(Int64.max), attributes: [.noDevices])
      let merge = LayerMerge(
        layers, into: memory.descriptor.rawValue, userAttributes: userAttributes,
        // A jail lends a file to the owner of the program only: what the builder may not read, nobody in it may.
        leavesUnreadableOut: !userAttributes, limit: bounds.copy)
      try run(merge)
      try SetupChannel.remark(
        channel, "\(Self.reason(refusal)): the image was copied into memory, \(Self.told(merge.tally, since: began))")
      return memory
    } catch {
      throw explained(error, "the image")
    }
  }

  /// The same of one folder of the host's, by way of a new folder of `memory`, without the paths that are hidden in it and without what
  /// this process may not read. Returns what is to be told.
  func folder(
    _ tree: Int32, _ part: RootAssembly.Part, into name: String, of memory: Int32, onto place: Int32
  ) throws(WallError) -> String {
    let began = Clock.monotonicNanoseconds()
    do throws(SystemError) {
      try File.makeDirectory(name, mode: 0o755, at: memory)
      let target = try File.open(name, O_PATH | O_DIRECTORY | O_NOFOLLOW, at: memory)
      let merge = LayerMerge(
        [tree], into: target.rawValue, userAttributes: userAttributes,
        hidden: part.hidden.compactMap { RelativePath(Array($0.utf8)) }, leavesUnreadableOut: true, limit: bounds.copy)
      try run(merge)
      _ = consume target
      let mount = try DetachedMount.clone(name, at: memory, recursive: false)
      try mount.attach(onto: place)
      return "\(part.path) was copied into memory, \(Self.told(merge.tally, since: began))"
    } catch {
      throw explained(error, part.path)
    }
  }

  /// A copy takes its time: who waits for it may be killed meanwhile, and it ends too. Setting ids takes the signal away again, and
  /// `Confinement.enter` sets it where it is to stay.
  private func run(_ merge: LayerMerge) throws(SystemError) {
    try Identity.setParentDeathSignal(SIGKILL)
    // Dead before that.
    var parent = [pollfd(fd: channel, events: 0, revents: 0)]
    if try Poll.wait(&parent, nanoseconds: 0) > 0 { throw SystemError("set-up", "the parent went away", .brokenPipe) }
    try merge.run()
    try Identity.setParentDeathSignal(0)
  }

  private func explained(_ error: SystemError, _ what: String) -> WallError {
    let why = "\(Self.reason(refusal)), so \(what) is copied into memory"
    switch error.errno {
    case .noSpace:
      let limit = bounds.scratch.map { Quantity.bytes($0) } ?? "the machine's memory"
      return WallError(
        "root filesystem: \(why), and does not fit the scratch limit of \(limit): give more with --scratch")
    case .noMemory:
      let limit = bounds.memory.map { Quantity.bytes($0) } ?? "the machine's memory"
      return WallError(
        "root filesystem: \(why), and does not fit the memory limit of \(limit): give more with --memory")
    default: return WallError("root filesystem: \(why): \(error)")
    }
  }

  private static func told(_ tally: LayerMerge.Tally, since began: UInt64) -> String {
    let milliseconds = (Clock.monotonicNanoseconds() - began) / 1_000_000
    var text = "\(tally.bytes / 1_000_000).\(tally.bytes / 100_000 % 10) MB, \(milliseconds) ms"
    for (count, what) in [
      (tally.devices, "device nodes"), (tally.attributes, "attributes"), (tally.unreadable, "unreadable files"),
    ] where count > 0 { text += ", without \(count) \(what)" }
    return text
  }
}
