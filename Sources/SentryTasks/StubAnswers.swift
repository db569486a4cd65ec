public import Linux
public import SentryABI
public import SentryFiles
import SentryMemory

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
  private static let places = 20
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
    (copy.leadsStatus, copy.asked, copy.empty) = (leadsStatus, asked, empty)
    (copy.isOff, copy.isFiltered) = (isOff, isFiltered)
    return copy
  }

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

  /// Tells what a descriptor is.
  /// - Parameters:
  ///   - file: by which the board knows its bytes; 0 for not at all.
  ///   - status: struct stat.
  func tell(_ number: Int32, generation: UInt64, file: UInt64, size: UInt64, status: [UInt8]) {
    guard epoch != 0, number >= 0 else { return }
    if told.isEmpty { told = [Int32](repeating: -1, count: Self.places) }
    let place = Int(number) % Self.places
    var entry: [UInt8] = []
    entry.reserveCapacity(176)
    entry.append(little: epoch)
    entry.append(little: UInt32(bitPattern: number))
    for word in [generation, file, size] { entry.append(little: word) }
    do throws(Errno) {
      try memory.store(entry + status, at: Self.entry(place))
      told[place] = number
    } catch {
      // As above.
    }
  }
  private static func entry(_ place: Int) -> GuestAddress { page.advanced(by: entries + place * entrySize) }

  public override func lost(_ number: Int32) {
    guard epoch != 0, number >= 0, !told.isEmpty else { return }
    let place = Int(number) % Self.places
    guard told[place] == number else { return }
    told[place] = -1
    do throws(Errno) { try memory.store(UInt64(0), at: Self.entry(place)) } catch {
      // As above.
    }
  }

  /// Where the stub says trampolines may be written: two areas, 0 where there is none, and the bytes of each.
  public func areas(_ task: Task) throws(Errno) -> (UInt64, UInt64, UInt64) {
    try task.memory.load(Self.page.advanced(by: Self.ownSize))
  }
}

/// Call sites of one address space as they were seen calling, by their addresses. It forgets: a place is one of 64.
public struct CallSites {
  public enum State: UInt8, Sendable {
    case seen, refused, led
  }
  private var places: [UInt64] = []
  private var states: [State] = []
  private var chances: [UInt8] = []
  /// Trampolines written so far, of each area.
  public var used = (0, 0)
  public init() {}

  private static func index(_ place: UInt64) -> Int { Int((place ^ place >> 7) & 63) }

  /// - Returns: nil at a first call.
  public func state(of place: UInt64) -> State? {
    if places.isEmpty { return nil }
    let index = Self.index(place)
    return places[index] == place ? states[index] : nil
  }
  public mutating func set(_ place: UInt64, _ state: State) {
    if places.isEmpty {
      places = [UInt64](repeating: 0, count: 64)
      states = [State](repeating: .seen, count: 64)
      chances = [UInt8](repeating: 0, count: 64)
    }
    let index = Self.index(place)
    if places[index] != place { chances[index] = 0 }
    (places[index], states[index]) = (place, state)
  }

  /// A call of the site could have been answered without the sentry.
  /// - Returns: whether that has been so often enough for the site to be led: that costs as much as two or three calls.
  public mutating func hadChance(_ place: UInt64) -> Bool {
    switch state(of: place) {
    case .refused, .led: return false
    case nil: set(place, .seen)
    case .seen: break
    }
    let index = Self.index(place)
    chances[index] = min(chances[index], 100) + 1
    return chances[index] >= 4
  }
}
