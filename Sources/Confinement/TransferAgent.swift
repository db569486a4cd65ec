import CLinux
import Formats
package import Linux
package import Trees
package import Walls

/// A child of this command that enters a box and copies files there: between the box's tree, seen with its mounts and its ids, and a
/// stream whose other end is outside.
///
/// It is in no process namespace, network or control group of the box: nobody inside can see, trace, freeze or starve it. It is
/// never dumpable, has the descriptors it needs and no others, the few capabilities that files want, and a filter that kills it for
/// anything but working with files: whatever the box's bytes did to it, it could run nothing and reach nothing but the box's files.
package struct TransferAgent: FileTransfer {
  /// Whose files it works with.
  package enum Owner: Sendable {
    /// The box's root, by its ids inside; false where the namespace denies setgroups.
    case root(setGroups: Bool)
    /// Somebody with no capability.
    case user(UInt32)
  }

  /// What fails while a box is entered.
  package typealias Failure = SystemError

  /// For error messages: "sandbox NAME".
  private let what: String
  private let owner: Owner
  /// In the child: makes the box's root this process's root.
  private let enter: () throws(Failure) -> Void
  /// What the box's root began as; `enter` makes it.
  private let image: ImageView?

  package init(
    what: String, owner: Owner, image: ImageView? = nil, enter: @escaping () throws(Failure) -> Void
  ) {
    self.what = what
    self.image = image
    self.owner = owner
    self.enter = enter
  }

  package func send(_ source: TreeSource, to output: Int32) throws(WallError) -> any TransferWork {
    try start(.send(source), stream: output)
  }

  package func receive(_ target: TreeTarget, from input: Int32) throws(WallError) -> any TransferWork {
    try start(.receive(target), stream: input)
  }

  /// Begins to write the box's root, or how it differs from the image.
  package func pack(_ form: RootForm, to output: Int32) throws(WallError) -> any TransferWork {
    try start(.root(form), stream: output)
  }

  package func contents(of path: String, limit: Int) throws(WallError) -> [UInt8]? {
    let near: FileDescriptor
    let far: FileDescriptor
    do throws(SystemError) {
      let ends = try DescriptorPair.pipe().release()
      near = FileDescriptor(owning: ends.first)
      far = FileDescriptor(owning: ends.second)
    } catch {
      throw WallError(what, error)
    }
    let work = try start(.read(path, limit), stream: far.rawValue)
    _ = consume far
    let bytes: [UInt8]
    do throws(SystemError) { bytes = try File.readAll(near.rawValue, limit: limit) } catch {
      throw WallError("\(what): \(FormatError.presentable(path))", error)
    }
    let report = try work.finish()
    if let fatal = report.fatal { throw WallError("\(what): \(fatal)") }
    return report.files == 1 ? bytes : nil
  }

  private func start(_ work: TransferOrder, stream: Int32) throws(WallError) -> AgentWork {
    do throws(SystemError) {
      let ends = try DescriptorPair.pipe().release()
      let near = FileDescriptor(owning: ends.first)
      let far = FileDescriptor(owning: ends.second)
      guard let child = try Process.clone(CloneArguments(flags: 0)) else {
        run(work, stream: stream, answer: far.rawValue)
      }
      return AgentWork(what: what, child: child.pid, answer: near)
    } catch {
      throw WallError(what, error)
    }
  }
}

// MARK: In the child

extension TransferAgent {
  private func run(_ work: TransferOrder, stream: Int32, answer: Int32) -> Never {
    var report = TransferReport()
    do throws(SystemError) {
      let answer = try FileDescriptor.duplicate(answer, atLeast: 64)
      let stream = try FileDescriptor.duplicate(stream, atLeast: 64)
      do throws(SystemError) {
        report = try perform(work, stream: stream.rawValue, answer: answer.rawValue)
      } catch {
        report.fatal =
          error.errno == .noProcess ? "\(what) has ended" : "\(what) cannot be entered: \(error)"
      }
      try File.writeAll(answer.rawValue, report.encoded)
    } catch {
      // Nobody is left to tell.
      Process.exit(1)
    }
    Process.exit(0)
  }

  private func perform(_ work: TransferOrder, stream: Int32, answer: Int32) throws(SystemError) -> TransferReport {
    // What the runtime would say last must not land in a file of the box that took number 2.
    let null = try File.open("/dev/null", O_RDWR | O_CLOEXEC)
    for number in [0, 1, 2] as [Int32] { try FileDescriptor.replace(number, with: null.rawValue) }
    try SignalSet.ignore(SIGPIPE)
    // Ended from the terminal or with its parent, it still removes what is half written.
    let signals = work.isReceiving ? try TransferOrder.endingSignals() : nil
    let reopener = try Reopener()
    try Identity.setDumpable(false)
    Process.wipeArguments()
    try enter()
    try FileDescriptor.closeAll(
      but: [0, 1, 2, stream, answer, reopener.rawValue] + (signals.map { [$0] } ?? [])
        + (image.map { [$0.descriptor] } ?? []))
    let root = try File.open("/", O_PATH | O_DIRECTORY)
    Identity.setUmask(0)
    try Confinement.enter(try plan(work))
    var original: FileDescriptor?
    if let image { original = try File.open(".", O_RDONLY | O_DIRECTORY, at: image.descriptor) }
    let report = try work.perform(
      in: .root(root.rawValue), stream: stream, reopener, original: original, signals: signals)
    return report
  }

  private func plan(_ work: TransferOrder) throws(SystemError) -> ConfinementPlan {
    var plan = ConfinementPlan()
    var isReceiving = false
    var capabilities = Self.capabilities
    if case .receive(let target) = work {
      isReceiving = true
      // Without it a copy's capabilities are told as left out.
      if target.keepsOwners { capabilities |= Self.setFileCapabilities & (try CapabilitySets.current().permitted) }
    }
    switch owner {
    case .root(let setGroups):
      plan.setGroups = setGroups
      plan.capabilities.permitted = capabilities
      plan.capabilities.effective = capabilities
      plan.capabilities.bounding = capabilities
    case .user(let id):
      plan.user.user = id
      plan.user.group = id
    }
    plan.parentDeathSignal = isReceiving ? SIGTERM : SIGKILL
    plan.filter = try Confinement.workerFilter(allowing: Self.calls)
    return plan
  }

  /// Reading and writing everything, giving files away, keeping set-user-id; not making devices (capabilities(7): CAP_CHOWN,
  /// CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID).
  private static let capabilities: UInt64 = 0b11111
  /// CAP_SETFCAP: over files of the box's own user namespace, whose root's capabilities they then mean (capabilities(7), "Namespaced file
  /// capabilities").
  private static let setFileCapabilities: UInt64 = 1 << 31

  /// What copying wants beside a worker's calls.
  private static let calls = [
    "openat", "openat2", "newfstatat", "fstatfs", "getdents64", "readlinkat", "mkdirat", "symlinkat", "linkat",
    "renameat2", "unlinkat", "fchownat", "fchmod", "utimensat", "fcntl", "getpid", "geteuid", "flistxattr",
    "fgetxattr", "fsetxattr",
  ]
}

/// The agent's half of a transfer, as its parent waits for it.
private final class AgentWork: TransferWork {
  private let what: String
  private let child: Int32
  private let answer: OwnedDescriptor

  init(what: String, child: Int32, answer: consuming FileDescriptor) {
    self.what = what
    self.child = child
    self.answer = OwnedDescriptor(answer)
  }

  func finish() throws(WallError) -> TransferReport {
    let bytes: [UInt8]
    let status: ExitStatus?
    do throws(SystemError) {
      bytes = try File.readAll(answer.rawValue, limit: 1 << 20)
      status = try Process.wait(child)
    } catch {
      throw WallError(what, error)
    }
    if let report = TransferReport(encoded: bytes) { return report }
    throw WallError("\(what): the process that copies there was killed (\(status?.code ?? 0))")
  }
}
