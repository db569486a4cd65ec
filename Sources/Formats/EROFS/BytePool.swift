/// Names and texts one behind the other in pages that never move; a text is known by where it begins and never crosses a page.
@safe struct BytePool: ~Copyable, @unchecked Sendable {
  // SAFETY (of Sendable): the pages belong to this value alone, which cannot be copied.
  /// The longest text: an attribute's name and value.
  static let longest = 1 << 17
  private static let pageBits = 17

  private var pages: [UnsafeMutablePointer<UInt8>] = unsafe []
  /// Pages that are to be freed; those behind them are the pool's spill's.
  private var owned = 0
  private var used = 0
  private let pool: PagePool
  /// Bytes of all texts.
  private(set) var count = 0

  init(_ pool: PagePool) { self.pool = pool }

  deinit {
    // SAFETY: each of these pages was allocated by the pool for this value and is freed once.
    for index in 0..<owned { unsafe pages[index].deallocate() }
  }

  /// Room for so many bytes more: the position of the first. `pages` × 128 kB stay below 4 GiB by the callers' bounds.
  /// - Throws: `FormatError` where there is no more room (`PageSpill.take`).
  mutating func append(
    _ first: Span<UInt8>, _ second: Span<UInt8> = Span()
  ) throws(FormatError) -> UInt32 {
    let length = first.count + second.count
    precondition(length <= Self.longest, "a text longer than a page")
    let page = 1 << Self.pageBits
    if unsafe pages.isEmpty || used + length > page {
      let new = unsafe try pool.page(page)
      unsafe pages.append(new.start.bindMemory(to: UInt8.self, capacity: page))
      // Once the pool gives out its spill's it gives out nothing else.
      if unsafe new.isOwn { owned += 1 }
      used = 0
    }
    let index = unsafe pages.count - 1
    let position = UInt32(index << Self.pageBits + used)
    // SAFETY: `used + length` is within the page.
    var target = unsafe pages[index] + used
    for part in 0..<2 {
      let bytes = part == 0 ? first : second
      unsafe bytes.withUnsafeBufferPointer { source in
        guard let base = source.baseAddress else { return }
        unsafe target.initialize(from: base, count: source.count)
      }
      unsafe target += bytes.count
    }
    used += length
    count += length
    return position
  }

  /// The bytes that `append` put there.
  @_lifetime(borrow self)
  func bytes(at position: UInt32, count: Int) -> Span<UInt8> {
    let (index, offset) = (Int(position) >> Self.pageBits, Int(position) & (1 << Self.pageBits - 1))
    let isInside = unsafe index < pages.count && count >= 0 && count <= 1 << Self.pageBits - offset
    precondition(isInside, "a text beyond its page")
    // SAFETY: within a page that lives as long as this value; callers pass what `append` returned, so it is initialised.
    let buffer = unsafe UnsafeBufferPointer(start: pages[index] + offset, count: count)
    return unsafe _overrideLifetime(Span(_unsafeElements: buffer), borrowing: self)
  }
}
