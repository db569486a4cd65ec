/// Elements by number in pages that never move: growing copies nothing, and a million elements cost what they are.
///
/// Indices are checked; only the last one can be taken out.
@safe struct FlatTable<Element: BitwiseCopyable>: ~Copyable, @unchecked Sendable {
  // SAFETY (of Sendable): the pages belong to this value alone, which cannot be copied.
  private static var pageBits: Int { 12 }
  private static var pageCount: Int { 1 << pageBits }

  private var pages: [UnsafeMutablePointer<Element>] = unsafe []
  private(set) var count = 0

  init() {}

  deinit {
    // SAFETY: each page was allocated by `append` and is freed once; its elements are trivial.
    for index in unsafe pages.indices { unsafe pages[index].deallocate() }
  }

  mutating func append(_ element: Element) {
    if unsafe pages.count == count >> Self.pageBits {
      unsafe pages.append(.allocate(capacity: Self.pageCount))
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
