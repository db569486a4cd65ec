public import Linux
public import SentryABI
public import SentryFiles
public import SentryMemory

/// What the stub of one address space answers by itself (guest/answers.h): the page that says what holds, and the call sites that lead to
/// it. The page is the guest's own memory: whoever writes to it deceives nobody else, and nothing of it is read back but where trampolines
/// may lie, which is the guest's memory too.
public final class StubAnswers: DescriptorAnswers {
  /// Where guest/answers.h puts the page.
  public static let page = GuestAddress(0x5000_0001_0000)
  /// Bytes at its start that the sentry writes, then the stub's.
  static let ownSize = 0x80

  /// Processes in this address space: more than one between vfork(2) and the child's execve(2), when they would be told each other's ids.
  public private(set) var users = 1
  /// What the page says now; 0 for nothing.
  public private(set) var epoch: UInt32 = 0
  /// Nothing is to be answered here: the page is not there, or a filter of the guest's own must see its calls.
  public private(set) var isOff = false
  public private(set) var isFiltered = false
  public var sites = CallSites()
  /// The stub could have answered the call that is being answered, or can do so from now on.
  public var isAnswerable = false
  private var memory = GuestMemory(process: 0)
  private nonisolated(unsafe) static var lastEpoch: UInt32 = 0
  /// Whether a site that asks for the status of descriptors is led here.
  public var leadsStatus = false
  /// What is told of which descriptors, by their places in the page; -1 for none.
  private var told: [Int32] = []
  /// Under which generation of the board, and the files whose positions the process moves by itself.
  private var generations: [UInt64] = []
  private var lent: [OpenFile?] = []
  private static let places = 20
  /// Of `struct answered_descriptor`: what is another one each time that it is told, what makes a position be moved no more, and the position.
  private static let sequence = 168
  private static let tag = 176
  private static let position = 184
  private nonisolated(unsafe) static var lastTag: UInt64 = 0
  /// Several threads have been in this address space, which answer and move positions while the sentry serves one of them.
  public private(set) var hasThreads = false
  /// Of `struct answers_page`.
  private static let defaultsAt = page.advanced(by: 0x28)
  private static let wantedAt = page.advanced(by: 0x38)
  private static let farAt = page.advanced(by: 0x98)
  private static let closesAt = page.advanced(by: 0xa0)
  /// Places in the page whose descriptors the process may close by itself, a bit each, and how many it had closed when that was looked at.
  private var closable: UInt32 = 0
  private var closes: UInt64 = 0
  /// Closed by the process, when others got at the open file.
  private var closedLate: [Int32] = []
  /// How often it was asked what signals do that were never told.
  var askedActions = 0
  private var defaults: UInt64 = 0
  private var defaultsEpoch: UInt32 = 0
  /// Of `struct answered_descriptor`.
  private static let entrySize = 192
  private static let entries = 0x100
  private var lastAsked: Int32 = -1
  private var inARow = 0
  private var asked = 0
  private var empty = GuestAddress(0)

  public override init() {}

  /// fork(2): text and trampolines are the child's too, the page says nothing to it yet.
  public func copy() -> StubAnswers {
    let copy = StubAnswers()
    copy.sites = sites
    (copy.leadsStatus, copy.asked, copy.empty, copy.askedActions) = (leadsStatus, asked, empty, askedActions)
    (copy.isOff, copy.isFiltered) = (isOff, isFiltered)
    return copy
  }

  /// A thread is about to be made.
  /// - Parameter sharesDescriptors: it has no table of its own, of which what is told here would not be true.
  public func expectThread(sharesDescriptors: Bool) {
    if sharesDescriptors { takeBack() } else { forget() }
    hasThreads = true
  }
  /// By whose number the memory is reached from now on: a thread of the process that lives.
  public func reach(by thread: GuestMemory) { if users == 1, epoch != 0 { memory = thread } }
  /// A thread ends.
  public func leaves(_ task: Task) {
    guard memory.process == task.hostID, let other = task.group.tasks.first(where: { $0 !== task }) else { return }
    memory = other.memory
  }
  override public var movesMeanwhile: Bool { hasThreads }

  public func share() { users += 1 }
  public func leave() { users -= 1 }

  /// A filter of the guest's own must see its calls, in this program and in those that it executes and makes.
  public func giveWayToFilter() {
    forget()
    (isOff, isFiltered) = (true, true)
  }

  /// What was written holds no longer; from the next call on the sentry is asked again.
  public func forget() {
    guard epoch != 0 else { return }
    takeBack()
    gone()
    // Each word by itself is what a trampoline looks at.
    let nothing: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    do throws(Errno) { try memory.store(nothing, at: Self.page) } catch {
      // The process is gone, or has unmapped the page: no answer is left in it.
    }
  }

  /// The page is no more: the process ends, or executes another program.
  public func gone() {
    epoch = 0
    told = []
    for case let file? in lent { file.dropLender() }
    lent = []
    closable = 0
  }

  /// The positions that the process moves by itself are the sentry's again: others are about to get at them.
  public func takeBack() {
    for case let file? in lent { file.takeBack() }
  }

  /// Writes what the process is told.
  public func fill(_ task: Task) {
    guard epoch == 0, !isOff, users == 1 else { return }
    let (group, ids) = (task.group, task.credentials)
    // Threads may have ids of their own (credentials(7), setresuid(2) by itself).
    let isOne = group.tasks.allSatisfy { other in
      other === task
        || other.credentials.user == ids.user && other.credentials.effectiveUser == ids.effectiveUser
          && other.credentials.group == ids.group && other.credentials.effectiveGroup == ids.effectiveGroup
    }
    guard isOne else { return }
    memory = task.memory
    // SAFETY: the sentry has one thread; tests that race make epochs that differ all the same, or are of other processes.
    unsafe Self.lastEpoch = unsafe Self.lastEpoch == .max ? 1 : Self.lastEpoch + 1
    let next = unsafe Self.lastEpoch
    let number = { (id: Int32) in UInt32(bitPattern: id) &+ 1 }
    let words: (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32) = (
      next, number(group.id), number(group.parentID), ids.user &+ 1, ids.effectiveUser &+ 1, ids.group &+ 1,
      ids.effectiveGroup &+ 1, number(group.processGroup)
    )
    do throws(Errno) {
      try memory.store(words, at: Self.page)
      epoch = next
    } catch {
      isOff = true
    }
  }

  /// A descriptor's status has been asked for.
  /// - Returns: whether it is worth telling: it is asked for again and again. A loader asks three or four times for each library.
  func isAskedAgain(_ number: Int32) -> Bool {
    asked &+= 1
    inARow = lastAsked == number ? inARow &+ 1 : 0
    lastAsked = number
    return inARow >= 5
  }
  /// Whether this process asks for the status of what it opens.
  var asksAlways: Bool { leadsStatus && asksOften }
  /// So often that the way of its calls is worth changing, even where each asks about another file.
  var asksOften: Bool { asked >= 12 }

  /// An empty path was found in the guest's memory.
  func found(empty address: GuestAddress) {
    guard address != empty, epoch != 0 else { return }
    do throws(Errno) {
      try memory.store(address.bits, at: Self.page.advanced(by: 0x20))
      empty = address
    } catch {
      // Without the page nothing is answered anyway.
    }
  }

  /// `struct answered_descriptor`.
  private struct Entry: BitwiseCopyable {
    let epoch: UInt32
    let number: Int32
    let generation: UInt64
    let file: UInt32
    let flags: UInt32
    let size: UInt64
    /// Of its last three words, which are 0 in every status, the third is the sequence.
    let status: StatusRecord.KernelStatus
    let tag: UInt64
    let position: Int64
  }
  /// In which order it is written where threads may be reading it, and its sequence is 0: the position before its tag, and that all holds last.
  private static let parts = [0..<sequence, position..<entrySize, tag..<position, sequence..<tag]

  /// Whether all that can be told of a descriptor is told.
  func tells(_ number: Int32, _ file: OpenFile, under generation: UInt64) -> Bool {
    guard epoch != 0, number >= 0, !told.isEmpty else { return false }
    let place = Int(number) % Self.places
    return told[place] == number && generations[place] == generation && (lent[place] === file || !file.isLendable)
  }

  /// Tells what a descriptor is, and lends its position to the process where that alone has it.
  /// - Parameters:
  ///   - bytes: by which the board knows the file's; 0 for not at all.
  ///   - isClosable: nobody but the process notices its close.
  func tell(
    _ number: Int32, _ file: OpenFile, closesOnExec: Bool, generation: UInt64, bytes: UInt64, isClosable: Bool,
    _ record: StatusRecord
  ) {
    guard epoch != 0, number >= 0 else { return }
    if told.isEmpty {
      told = [Int32](repeating: -1, count: Self.places)
      generations = [UInt64](repeating: 0, count: Self.places)
      lent = [OpenFile?](repeating: nil, count: Self.places)
    }
    let place = Int(number) % Self.places
    if let other = lent[place] { other.takeBack() }
    var (tag, position): (UInt64, Int64) = (0, 0)
    closable &= ~(1 << UInt32(place))
    if file.isLendable {
      position = file.lend(to: self)
      lent[place] = file
      if isClosable { closable |= 1 << UInt32(place) }
      // SAFETY: as for epochs.
      unsafe Self.lastTag &+= 1
      tag = unsafe Self.lastTag
    }
    var entry = Entry(
      epoch: epoch, number: number, generation: generation, file: UInt32(truncatingIfNeeded: bytes),
      flags: UInt32(bitPattern: file.flags) & 0x1fff_ffff | (closable >> UInt32(place) & 1) << 29
        | (closesOnExec ? 1 << 31 : 0)
        | (file.inode?.endsAsTold == true ? 1 << 30 : 0),
      size: UInt64(clamping: record.size), status: record.kernelStatus, tag: tag, position: position)
    do throws(Errno) {
      // SAFETY: as for epochs.
      unsafe Self.lastTag &+= 1
      let next = unsafe Self.lastTag
      if hasThreads { try memory.store(UInt64(0), at: Self.entry(place).advanced(by: Self.sequence)) }
      // SAFETY: the offset is the third of the status's last words.
      unsafe withUnsafeMutableBytes(of: &entry) {
        unsafe $0.storeBytes(of: next, toByteOffset: Self.sequence, as: UInt64.self)
      }
      if hasThreads {
        try memory.store(entry, at: Self.entry(place), parts: Self.parts)
      } else {
        try memory.store(entry, at: Self.entry(place))
      }
      (told[place], generations[place]) = (number, generation)
    } catch {
      // As above; nobody moves it then.
      stopLending(place)
    }
  }
  private func stopLending(_ place: Int) {
    lent[place]?.dropLender()
    lent[place] = nil
    closable &= ~(1 << UInt32(place))
  }

  /// Whether a process may have closed something since its last call, or its memory is to be reached by another thread from now on.
  public var mayHaveClosed: Bool { closable != 0 || !closedLate.isEmpty || hasThreads }
  /// Whether it can close this by itself.
  func canClose(_ number: Int32) -> Bool {
    guard number >= 0, !told.isEmpty else { return false }
    let place = Int(number) % Self.places
    return told[place] == number && closable >> UInt32(place) & 1 != 0
  }

  /// What the process has closed by itself since it was last asked.
  func takeCloses() -> [Int32] {
    var closed = closedLate
    closedLate = []
    guard closable != 0, let now = try? memory.load(Self.closesAt, as: UInt64.self), now != closes else {
      return closed
    }
    closes = now
    for place in 0..<Self.places where closable >> UInt32(place) & 1 != 0 {
      let at = Self.entry(place).advanced(by: Self.position)
      // Without the page nothing was closed there.
      guard let position = try? memory.load(at, as: Int64.self), position == .min else { continue }
      closed.append(told[place])
      told[place] = -1
      stopLending(place)
    }
    return closed
  }

  public override func position(of file: OpenFile, takesBack: Bool) -> Int64? {
    guard let place = lent.firstIndex(where: { $0 === file }) else { return nil }
    let entry = Self.entry(place)
    let canClose = closable >> UInt32(place) & 1 != 0
    do throws(Errno) {
      if takesBack {
        lent[place] = nil
        closable &= ~(1 << UInt32(place))
        // First that, so that whatever the process has moved before is seen, and nothing after.
        try memory.store(UInt64(0), at: entry.advanced(by: Self.tag))
      }
      // Of a directory only the flags are told.
      if file.inode?.kind != .regular { return nil }
      let position: Int64 = try memory.load(entry.advanced(by: Self.position))
      if position == .min, canClose, takesBack {
        closedLate.append(told[place])
        told[place] = -1
      }
      // No more than lseek(2) could have made it.
      return max(0, position)
    } catch { return nil }
  }

  public override func move(_ file: OpenFile, to position: Int64) {
    guard let place = lent.firstIndex(where: { $0 === file }) else { return }
    do throws(Errno) { try memory.store(position, at: Self.entry(place).advanced(by: Self.position)) } catch {
      // As above.
    }
  }

  public override func changed(_ number: Int32) {
    guard epoch != 0, number >= 0, !told.isEmpty else { return }
    let place = Int(number) % Self.places
    guard told[place] == number else { return }
    lent[place]?.takeBack()
    lost(number)
  }

  /// Tells which signals have had no action.
  public func tell(defaults: UInt64) {
    guard epoch != 0, defaultsEpoch != epoch else { return }
    do throws(Errno) {
      try memory.store((defaults, UInt64(epoch)), at: Self.defaultsAt)
      (self.defaults, defaultsEpoch) = (defaults, epoch)
    } catch {
      // As above.
    }
  }

  /// A signal gets an action.
  public func lostDefault(of signal: Int32) {
    guard epoch != 0, defaultsEpoch == epoch, (1...64).contains(signal), defaults >> UInt64(signal - 1) & 1 != 0 else {
      return
    }
    defaults &= ~(1 << UInt64(signal - 1))
    do throws(Errno) { try memory.store(defaults, at: Self.defaultsAt) } catch {
      // As above.
    }
  }

  /// Asks the stub for a page of trampolines at an address.
  public func want(_ page: UInt64, _ task: Task) throws(Errno) { try task.memory.store(page, at: Self.wantedAt) }
  /// The page that the stub made last because it was wanted, as the guest's memory says.
  public func farPage(_ task: Task) throws(Errno) -> UInt64 { try task.memory.load(Self.farAt) }

  private static func entry(_ place: Int) -> GuestAddress { page.advanced(by: entries + place * entrySize) }

  public override func lost(_ number: Int32) {
    guard epoch != 0, number >= 0, !told.isEmpty else { return }
    let place = Int(number) % Self.places
    guard told[place] == number else { return }
    told[place] = -1
    stopLending(place)
    do throws(Errno) { try memory.store(UInt64(0), at: Self.entry(place)) } catch {
      // As above.
    }
  }

  /// Where the stub says trampolines may be written: two areas, 0 where there is none, and the bytes of each.
  public func areas(_ task: Task) throws(Errno) -> (UInt64, UInt64, UInt64) {
    try task.memory.load(Self.page.advanced(by: Self.ownSize))
  }
}
