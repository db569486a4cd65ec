public import Linux

/// A file as its file system knows it (the kernel's `inode` and `inode_operations`). Each kind of file system has subclasses.
///
/// Callers have checked names (1 to 255 bytes, no "/", not "." or ".."), permissions, read-only mounts and that what is looked
/// up is a directory; an inode only says what its file system can and cannot do.
open class Inode {
  public final let fileSystem: FileSystem
  /// As known; where the file system isn't stable, `refresh` is called before they are used.
  public final var attributes: FileAttributes {
    didSet { if answeredAt != 0 { answersChanged() } }
  }
  /// The count of `answers` when somebody was told of this file for good; 0 for nobody.
  private final var answeredAt: UInt64 = 0
  private final var answers: AnswerGenerations?
  /// By which a board of answers knows its bytes; 0 for none yet.
  public final var answerNumber: UInt64 = 0
  public final var kind: FileKind { attributes.kind }
  public final var number: UInt64 { attributes.inode }
  /// flock(2) and fcntl(2) locks.
  public final var locks: FileLocks?
  /// Its locks, made at the first one.
  public final var fileLocks: FileLocks {
    if let locks { return locks }
    let made = FileLocks()
    locks = made
    // From here on a close may give one back.
    answersChanged()
    return made
  }
  /// inotify(7).
  public final var watchers: FileWatchers?
  /// The pipe of a FIFO, the socket bound to a name: made by those who know them.
  public final var attachment: AnyObject?
  /// Processes that run it: while there are any nobody may write to it (deny_write_access of fs/exec.c).
  public fileprivate(set) final var executions = 0

  public init(_ fileSystem: FileSystem, _ attributes: FileAttributes) {
    self.fileSystem = fileSystem
    self.attributes = attributes
  }

  /// Somebody is told of this file, or of the names in this directory, and will not ask again.
  public final func isAnswered(_ generations: AnswerGenerations) {
    answers = generations
    answeredAt = generations.current
  }
  private final func answersChanged() {
    if let answers, answers.current == answeredAt { answers.change() }
    answeredAt = 0
  }

  /// Its bytes may change from here on without its attributes, as by a shared mapping.
  public final func bytesMayChange() { answersChanged() }

  /// Whether nothing and nobody changes its bytes while `attributes` stay.
  open var isImmutable: Bool { false }
  /// Whether its bytes end where `attributes` say, and not where others on the host have brought it.
  open var endsAsTold: Bool { isImmutable }

  /// Brings `attributes` up to date.
  open func refresh() throws(Errno) {}

  /// Whether a name that led here, and now leads to the other, leads to the same file still. A file system that uses a number again
  /// for another file says otherwise.
  open func isSame(as other: Inode) -> Bool {
    self === other || fileSystem === other.fileSystem && number == other.number && kind == other.kind
  }

  // MARK: Directories

  /// - Returns: nil where there is no such name.
  open func lookup(_ name: [UInt8], _ caller: FileCaller) throws(Errno) -> Inode? { throw .notDirectory }

  /// The names from a place on, without "." and "..", in an order that stays.
  /// - Parameter cookie: 2 for the beginning, or the `next` of an entry.
  /// - Parameter give: false ends it: the entry was not taken.
  open func entries(from cookie: Int64, _ caller: FileCaller, _ give: (DirectoryEntry) -> Bool) throws(Errno) {
    throw .notDirectory
  }

  /// A regular file, directory, FIFO, socket or device.
  open func create(_ name: [UInt8], _ file: NewFile) throws(Errno) -> Inode { throw .notPermitted }
  open func createLink(_ name: [UInt8], to text: [UInt8], _ file: NewFile) throws(Errno) -> Inode {
    throw .notPermitted
  }
  /// A regular file without a name (O_TMPFILE).
  open func createUnnamed(_ file: NewFile) throws(Errno) -> Inode { throw .notSupported }
  /// One more name for a file of the same file system.
  open func link(_ name: [UInt8], to file: Inode) throws(Errno) { throw .notPermitted }
  /// Takes a name away; `file` is what it leads to. Directories must be empty (ENOTEMPTY).
  open func remove(_ name: [UInt8], _ file: Inode) throws(Errno) { throw .notPermitted }
  /// - Parameter victim: what has the new name now, of a kind that may be replaced; a directory must be empty (ENOTEMPTY).
  /// - Parameter exchanges: both names stay, each with the other's file (RENAME_EXCHANGE).
  open func rename(
    _ name: [UInt8], _ file: Inode, to directory: Inode, _ newName: [UInt8], replacing victim: Inode?, exchanges: Bool
  ) throws(Errno) { throw .notPermitted }

  // MARK: Links

  open func readLink(_ caller: FileCaller) throws(Errno) -> LinkTarget { throw .invalid }

  // MARK: Files

  /// Opens what is there, permissions checked; O_TRUNC is done by the caller. Devices and FIFOs are opened by `SpecialFiles`.
  /// - Parameter flags: open(2)'s, without those about creation.
  /// - Parameter path: where it was found; the caller sets it in the file that is returned.
  open func open(_ flags: Int32, _ path: Path, _ caller: FileCaller) throws(Errno) -> OpenFile { throw .noSuchDevice }

  /// ftruncate(2).
  /// - Parameter size: not negative.
  open func truncate(to size: Int64) throws(Errno) { throw .invalid }

  /// chmod(2), chown(2), utimensat(2); permissions are checked.
  open func change(_ change: AttributeChange) throws(Errno) { throw .notPermitted }

  // MARK: Extended attributes

  /// getxattr(2).
  /// - Throws: ENODATA where there is none of that name.
  open func extendedAttribute(_ name: [UInt8]) throws(Errno) -> [UInt8] { throw .notSupported }
  open func extendedAttributeNames() throws(Errno) -> [[UInt8]] { [] }
  /// - Parameter creates: EEXIST where it is there already.
  /// - Parameter replaces: ENODATA where it is not there.
  open func setExtendedAttribute(_ name: [UInt8], _ value: [UInt8], creates: Bool, replaces: Bool) throws(Errno) {
    throw .notSupported
  }
  open func removeExtendedAttribute(_ name: [UInt8]) throws(Errno) { throw .notSupported }
}

/// What a symbolic link leads to.
public enum LinkTarget {
  case text([UInt8])
  /// A link of proc that goes where no text could (/proc/PID/fd/N, exe, cwd, root); `text` is what readlink(2) shows.
  case place(Path, text: [UInt8])
}

public struct DirectoryEntry: Sendable {
  public let name: [UInt8]
  public let inode: UInt64
  public let kind: FileKind
  /// Where to go on after it; above 2, and the same as long as the directory is open.
  public let next: Int64
  public init(name: [UInt8], inode: UInt64, kind: FileKind, next: Int64) {
    self.name = name
    self.inode = inode
    self.kind = kind
    self.next = next
  }
}

/// Those who watch an inode (inotify(7)).
open class FileWatchers {
  // SAFETY: the sentry is one thread; it serves one sandbox.
  private nonisolated(unsafe) static var living = 0
  /// Nobody watches any file: nobody need be told.
  static var areNone: Bool { unsafe living == 0 }
  public init() { unsafe Self.living += 1 }
  deinit { unsafe Self.living -= 1 }
  /// - Parameter events: IN_* bits (linux/inotify.h), IN_ISDIR included.
  /// - Parameter name: of the entry, where a directory tells of one.
  /// - Parameter cookie: joins the two halves of a rename; else 0.
  open func happened(_ events: UInt32, name: [UInt8]?, cookie: UInt32) {}
}

/// A program that runs: held by every process that does, shared with its children.
public final class ExecutedFile {
  private let inode: Inode
  public init(_ inode: Inode) {
    self.inode = inode
    inode.executions += 1
  }
  deinit { inode.executions -= 1 }
}
