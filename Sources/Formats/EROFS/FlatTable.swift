/// Elements by number in pages that never move: growing copies nothing, and a million elements cost what they are.
///
/// Indices are checked; only the last one can be taken out.
@safe struct FlatTable<Element: BitwiseCopyable>: ~Copyable, @unchecked Sendable {
  // SAFETY (of Sendable): the pages belong to this value alone, which cannot be copied.
  private static var pageBits: Int { 12 }
  private static var pageCount: Int { 1 << pageBits }

  private var pages: [UnsafeMutablePointer<Element>] = unsafe []
  /// Pages that are to be freed; those behind them are the pool's spill's.
  private var owned = 0
  private(set) var count = 0
  private let pool: PagePool
  private let spills: Bool

  /// - Parameter spills: false for what is read all over again and again, which stays in memory.
  init(_ pool: PagePool, spills: Bool = true) {
    self.pool = pool
    self.spills = spills
  }

  /// Appends so many equal elements to a table that stays in memory.
  mutating func append(_ element: Element, count more: Int) {
    precondition(!spills, "a table that may spill")
    for _ in 0..<more {
      if count & (Self.pageCount - 1) == 0 { addOwnPage() }
      // SAFETY: the page was just made sure of, and the index within it is masked.
      unsafe (pages[count >> Self.pageBits] + (count & (Self.pageCount - 1))).initialize(to: element)
      count += 1
    }
  }

  /// A table with one element.
  init(_ pool: PagePool, first element: Element) {
    self.init(pool)
    addOwnPage()
    // SAFETY: the page has room for it.
    unsafe pages[0].initialize(to: element)
    count = 1
  }

  private mutating func addOwnPage() {
    let page = unsafe pool.own(Self.pageCount * MemoryLayout<Element>.stride)
    unsafe pages.append(page.bindMemory(to: Element.self, capacity: Self.pageCount))
    owned += 1
  }

  deinit {
    // SAFETY: each of these pages was allocated by the pool for this table and is freed once; its elements are trivial.
    for index in 0..<owned { unsafe pages[index].deallocate() }
  }

  /// - Throws: `FormatError` where there is no more room (`PageSpill.take`).
  mutating func append(_ element: Element) throws(FormatError) {
    precondition(spills, "a table that stays in memory")
    if unsafe pages.count == count >> Self.pageBits {
      let page = unsafe try pool.page(Self.pageCount * MemoryLayout<Element>.stride)
      unsafe pages.append(page.start.bindMemory(to: Element.self, capacity: Self.pageCount))
      // Once the pool gives out its spill's it gives out nothing else.
      if unsafe page.isOwn { owned += 1 }
    }
    // SAFETY: the page was just made sure of, and the index within it is masked.
    unsafe (pages[count >> Self.pageBits] + (count & (Self.pageCount - 1))).initialize(to: element)
    count += 1
  }

  mutating func removeLast() {
    precondition(count > 0, "nothing to take out")
    count -= 1
  }

  /// Where an element stands. SAFETY: checked against the count, so it is initialised.
  @inline(__always)
  private func address(_ index: Int) -> UnsafeMutablePointer<Element> {
    precondition(index >= 0 && index < count, "an index beyond the table")
    return unsafe pages[index >> Self.pageBits] + (index & (Self.pageCount - 1))
  }

  subscript(index: Int) -> Element {
    @inline(__always) get { unsafe address(index).pointee }
    @inline(__always) _modify {
      let element = unsafe address(index)
      yield unsafe &element.pointee
    }
  }

  subscript(index: UInt32) -> Element {
    @inline(__always) get { self[Int(index)] }
    @inline(__always) _modify { yield &self[Int(index)] }
  }
}
