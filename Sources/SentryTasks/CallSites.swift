/// Call sites of one address space as they were seen calling, by their addresses. It forgets.
public struct CallSites {
  public enum State: UInt8, Sendable {
    case seen, refused, led
  }
  private var places: [UInt64] = []
  private var states: [State] = []
  private var chances: [UInt8] = []
  /// Trampolines written so far, of each area.
  public var used = (0, 0)
  /// Pages that the stub has made for trampolines of sites with little room, the trampolines there, and the page that it was asked for.
  public var farPages: [UInt64] = []
  public var farUsed: [UInt64] = []
  public var wanted: UInt64 = 0
  /// Where jumps stand that must go before there is a second thread.
  public var cancelled: [UInt64] = []
  /// How often it was looked whether that page is there.
  public var looks = 0
  public init() {}

  /// A place is one of four beside each other: programs have some dozen sites that call by turns.
  private static let ways = 4
  private static func ways(_ place: UInt64) -> Range<Int> {
    let start = Int((place &* 0x9e37_79b9_7f4a_7c15) >> 58) * ways
    return start..<start + ways
  }
  private func index(_ place: UInt64) -> Int? {
    places.isEmpty ? nil : Self.ways(place).first { places[$0] == place }
  }

  /// - Returns: nil at a first call.
  public func state(of place: UInt64) -> State? { index(place).map { states[$0] } }
  public mutating func set(_ place: UInt64, _ state: State) {
    if places.isEmpty {
      places = [UInt64](repeating: 0, count: 64 * Self.ways)
      states = [State](repeating: .seen, count: places.count)
      chances = [UInt8](repeating: 0, count: places.count)
    }
    if let index = index(place) {
      states[index] = state
      return
    }
    // Of those that are there already the one is forgotten that is led, and so does not call, or has had the fewest chances.
    var chosen = Self.ways(place).lowerBound
    for index in Self.ways(place) where worth(index) < worth(chosen) { chosen = index }
    (places[chosen], states[chosen], chances[chosen]) = (place, state, 0)
  }
  private func worth(_ index: Int) -> Int {
    if places[index] == 0 { return -2 }
    return states[index] == .led ? -1 : Int(chances[index])
  }

  /// A call of the site could have been answered without the sentry.
  /// - Returns: whether that has been so often enough for the site to be led: that costs as much as two or three calls.
  public mutating func hadChance(_ place: UInt64) -> Bool {
    switch state(of: place) {
    case .refused, .led: return false
    case nil: set(place, .seen)
    case .seen: break
    }
    guard let index = index(place) else { return false }
    chances[index] = min(chances[index], 100) + 1
    return chances[index] >= 4
  }

  /// Not yet: after as many calls once more.
  public mutating func postpone(_ place: UInt64) {
    set(place, .seen)
    if let index = index(place) { chances[index] = 0 }
  }
}
