import CLinux
import Formats
import Linux

/// Writes what a tar stream holds beneath one folder, and nowhere else: names are taken apart, `..` is refused, no link is followed, a
/// file is written under a name of its own and takes its place when it is whole. Devices, sockets and pipes are left out.
package final class TreeUnpacker {
  let place: TreePlace
  let target: TreeTarget
  var report = TransferReport()
  private var landing: Landing?
  private var file: OpenFile?
  private var parent: OpenParent?
  private var made: [MadeFolder] = []
  private var madeBytes = 0
  private var counter = 0

  private struct OpenParent: ~Copyable {
    let path: RelativePath
    let folder: Folder
  }

  private struct OpenFile: ~Copyable {
    let entry: TarEntry
    let path: RelativePath
    let descriptor: FileDescriptor
    let temporary: [UInt8]
    var end: Int64 = 0
  }

  private struct MadeFolder {
    let path: RelativePath
    let entry: TarEntry
  }

  /// Bytes of the paths of folders that were made.
  private static let maximumMade = 256 << 20

  package init(place: TreePlace, target: TreeTarget) {
    self.place = place
    self.target = target
  }

  /// Reads the stream to its end; what happened is told, nothing is thrown. Once only.
  /// - Parameter signals: a signalfd (signalfd(2)): a signal on it ends the work, with nothing half written.
  package func unpack(from input: Int32, signals: Int32?) -> TransferReport {
    var limits = TarLimits()
    // The packer's members, and an extended header before each.
    limits.entries = 2 * TreePacker.maximumMembers + 16
    var reader = TarReader(limits: limits)
    do throws(TransferStop) {
      if target.isArchive { landing = try Landing.find(target, in: place, first: nil) }
      while true {
        let chunk = try read(input, signals)
        if chunk.isEmpty { break }
        try take(chunk, &reader)
      }
      do throws(FormatError) { try reader.finish() } catch { throw TransferStop("the archive: \(error)") }
      try finishFile()
      if landing == nil { throw TransferStop("nothing came") }
    } catch {
      report.fatal = error.message
      report.signal = error.signal
    }
    dropFile()
    finishFolders()
    return report
  }

  private func read(_ input: Int32, _ signals: Int32?) throws(TransferStop) -> [UInt8] {
    do throws(SystemError) {
      guard let signals else { return try File.read(input, atMost: 256 << 10) }
      var entries = [
        pollfd(fd: signals, events: Int16(POLLIN), revents: 0), pollfd(fd: input, events: Int16(POLLIN), revents: 0),
      ]
      while try Poll.wait(&entries, nanoseconds: nil) == 0 {}
      guard entries[0].revents != 0, let number = try SignalSet.next(signals) else {
        return try File.read(input, atMost: 256 << 10)
      }
      report.signal = number
    } catch {
      throw TransferStop("the stream: \(error.errno)")
    }
    throw TransferStop("ended by a signal")
  }

  private func take(_ chunk: [UInt8], _ reader: inout TarReader) throws(TransferStop) {
    var position = 0
    while true {
      let event: TarReader.Event
      do throws(FormatError) { event = try reader.next(chunk.span, at: &position) } catch {
        throw TransferStop("the archive: \(error)")
      }
      switch event {
      case .entry(let entry):
        try finishFile()
        try begin(entry)
      case .data(let offset, let range): try write(chunk.span.extracting(range), at: offset)
      case .end, .needsInput: if position == chunk.count { return }
      }
    }
  }
}

// MARK: Members

extension TreeUnpacker {
  private func begin(_ entry: TarEntry) throws(TransferStop) {
    if landing == nil { landing = try Landing.find(target, in: place, first: entry) }
    guard let path = landing?.path(of: entry.path) else {
      return report.failed.add("\(RelativePath.shown(entry.path)): is no path beneath a folder (it has \"..\" in it)")
    }
    do throws(SystemError) {
      switch entry.kind {
      case .directory: try makeFolder(entry, path)
      case .file: try makeFile(entry, path)
      case .symbolicLink: try makeLink(entry, path)
      case .hardLink: try makeHardLink(entry, path)
      case .characterDevice, .blockDevice:
        report.leftOut.add("\(RelativePath.shown(entry.path)) is a device")
      case .fifo: report.leftOut.add("\(RelativePath.shown(entry.path)) is a pipe")
      }
    } catch {
      try fail(path, error)
    }
    guard madeBytes <= Self.maximumMade else { throw TransferStop("the tree has more folders than memory should hold") }
  }

  /// What fails for one file goes on with the next; a full disk does not.
  private func fail(_ path: RelativePath, _ error: SystemError) throws(TransferStop) {
    let full = [.noSpace, .readOnlyFileSystem, Errno(rawValue: EDQUOT)].contains(error.errno)
    let shown = path.isRoot ? RelativePath.shown(Array(target.path.utf8)) : path.shown
    if full { throw TransferStop("\(shown): \(error.errno)") }
    let why =
      switch error.errno {
      case .loop: "a link stands in its way, which is not followed"
      case .isDirectory: "a folder is there already"
      case .notDirectory: "something is there already that is no folder"
      case .busy: "it is a mount of its own: write to it with exec"
      case .crossDevice: "it leads out of the folder"
      default: "\(error.errno)"
      }
    report.failed.add("\(shown): \(why)")
  }

  /// The folder that a path lies in.
  private func withParent<T: ~Copyable>(
    of path: RelativePath, _ body: (borrowing Folder) throws(SystemError) -> T
  ) throws(SystemError) -> T {
    let wanted = path.parent
    if parent == nil || parent?.path != wanted {
      parent = nil
      parent = OpenParent(path: wanted, folder: try openFolder(wanted))
    }
    guard let folder = parent?.folder.raw else { throw SystemError("open", wanted.shown, .noEntry) }
    return try Folder.withDescriptor(folder, body)
  }

  private func openFolder(_ path: RelativePath) throws(SystemError) -> Folder {
    guard let top = landing?.top.raw else { throw SystemError("open", path.shown, .noEntry) }
    return try Folder.withDescriptor(top) { top throws(SystemError) in
      do throws(SystemError) {
        return Folder(owning: try top.open(path, O_RDONLY | O_DIRECTORY, crossingMounts: true))
      } catch {
        // An archive may leave folders out.
        guard target.isArchive, error.errno == .noEntry else { throw error }
      }
      var made = RelativePath.root
      for part in path.bytes.split(separator: UInt8(ascii: "/")) {
        let above = Folder(owning: try top.open(made, O_RDONLY | O_DIRECTORY, crossingMounts: true))
        made = made.appending(Array(part))
        if try above.status(Array(part)) == nil { try above.makeDirectory(Array(part), mode: 0o755) }
      }
      return Folder(owning: try top.open(path, O_RDONLY | O_DIRECTORY, crossingMounts: true))
    }
  }

  private func makeFolder(_ entry: TarEntry, _ path: RelativePath) throws(SystemError) {
    // What the first member lands in when it is there already.
    if path.isRoot { return }
    let isNew = try withParent(of: path) { folder throws(SystemError) in
      do throws(SystemError) {
        try folder.makeDirectory(path.name, mode: 0o700)
        return true
      } catch {
        guard error.errno == .exists else { throw error }
      }
      // One that is there stays as it is.
      guard let status = try folder.status(path.name) else { throw SystemError("mkdir", path.shown, .exists) }
      if status.kind == .link { throw SystemError("mkdir", path.shown, .loop) }
      guard status.isDirectory else { throw SystemError("mkdir", path.shown, .notDirectory) }
      return false
    }
    report.folders += 1
    guard isNew else { return }
    made.append(MadeFolder(path: path, entry: entry))
    madeBytes += entry.attributes.reduce(path.bytes.count + 128) { $0 + $1.name.count + $1.value.count + 64 }
  }

  private func makeFile(_ entry: TarEntry, _ path: RelativePath) throws(SystemError) {
    file = try withParent(of: path) { folder throws(SystemError) in
      try refuseStrangeTarget(path, in: folder)
      var last = SystemError("create", path.shown, .exists)
      for _ in 0..<64 {
        let temporary = nextName()
        do throws(SystemError) {
          let descriptor = try folder.create(temporary)
          return OpenFile(entry: entry, path: path, descriptor: descriptor, temporary: temporary)
        } catch {
          last = error
          if error.errno != .exists { break }
        }
      }
      throw last
    }
  }

  /// Only files and links give way to what is copied: taking a device's place would break whoever uses it.
  private func refuseStrangeTarget(_ path: RelativePath, in folder: borrowing Folder) throws(SystemError) {
    guard let status = try folder.status(path.name) else { return }
    switch status.kind {
    case .regular, .link: return
    case .directory: throw SystemError("create", path.shown, .isDirectory)
    case .device, .socket, .pipe: throw SystemError("create", path.shown, .exists)
    }
  }

  private func nextName() -> [UInt8] {
    counter += 1
    return Array(".immure-cp-\(Process.id)-\(counter)".utf8)
  }

  private func write(_ bytes: Span<UInt8>, at offset: Int64) throws(TransferStop) {
    guard let descriptor = file?.descriptor.rawValue else { return }
    do throws(SystemError) {
      try File.writeAll(descriptor, bytes, at: UInt64(offset))
      file?.end = offset + Int64(bytes.count)
      report.bytes += UInt64(bytes.count)
    } catch {
      try failOpenFile(error)
    }
  }

  private func failOpenFile(_ error: SystemError) throws(TransferStop) {
    guard let path = file?.path else { return }
    dropFile()
    try fail(path, error)
  }

  /// The file is whole: it gets its size, owner and mode, and then its name.
  private func finishFile() throws(TransferStop) {
    guard let entry = file?.entry, let path = file?.path, let temporary = file?.temporary,
      let descriptor = file?.descriptor.rawValue, let end = file?.end
    else { return }
    do throws(SystemError) {
      if end < entry.size { try File.setSize(descriptor, UInt64(entry.size)) }
      try setMetadata(entry, descriptor, path)
      try withParent(of: path) { folder throws(SystemError) in
        try refuseStrangeTarget(path, in: folder)
        try folder.rename(temporary, to: path.name, replacing: true)
      }
      file = nil
      report.files += 1
    } catch {
      try failOpenFile(error)
    }
  }

  /// Removes a file that is not whole.
  private func dropFile() {
    guard let path = file?.path, let temporary = file?.temporary else { return }
    file = nil
    // Whoever moved it away has it; there is nothing more to do about it.
    try? withParent(of: path) { folder throws(SystemError) in try folder.remove(temporary, directory: false) }
  }

  private func makeLink(_ entry: TarEntry, _ path: RelativePath) throws(SystemError) {
    try withParent(of: path) { folder throws(SystemError) in
      try refuseStrangeTarget(path, in: folder)
      let temporary = nextName()
      try folder.makeLink(temporary, to: entry.linkTarget)
      do throws(SystemError) {
        if target.keepsOwners { try folder.changeOwner(temporary, user: entry.uid, group: entry.gid) }
        try folder.rename(temporary, to: path.name, replacing: true)
      } catch {
        // The error that matters is the one above.
        try? folder.remove(temporary, directory: false)
        throw error
      }
    }
    report.links += 1
  }

  private func makeHardLink(_ entry: TarEntry, _ path: RelativePath) throws(SystemError) {
    guard let known = landing?.path(of: entry.linkTarget), !known.isRoot else {
      throw SystemError("link", path.shown, .crossDevice)
    }
    let source = try openFolder(known.parent)
    guard try source.status(known.name)?.kind == .regular else { throw SystemError("link", path.shown, .noEntry) }
    try withParent(of: path) { folder throws(SystemError) in
      try refuseStrangeTarget(path, in: folder)
      let temporary = nextName()
      try folder.makeHardLink(temporary, to: known.name, in: source)
      do throws(SystemError) { try folder.rename(temporary, to: path.name, replacing: true) } catch {
        try? folder.remove(temporary, directory: false)
        throw error
      }
      // Two names of one file do not replace each other: rename(2) then leaves both.
      if try folder.status(temporary) != nil { try folder.remove(temporary, directory: false) }
    }
    report.links += 1
  }

  private func setMetadata(_ entry: TarEntry, _ descriptor: Int32, _ path: RelativePath) throws(SystemError) {
    // chown clears set-user-id and capabilities: owner first (chown(2)).
    if target.keepsOwners { try File.changeOwner("", user: entry.uid, group: entry.gid, at: descriptor) }
    let kept: UInt32 =
      target.keepsOwners && Process.effectiveUser == 0 ? 0o7777 : entry.kind == .directory ? 0o1777 : 0o777
    // A user may write attributes while the mode still lets him write.
    let mode = setAttributes(entry, descriptor, path)
    try File.changeMode(descriptor, mode & kept)
    try File.changeTime(descriptor, seconds: entry.modified, nanoseconds: entry.modifiedNanoseconds)
  }

  /// The user's own attributes; with the owners also capabilities and ACLs, which are the stream's word for who may do what. Names are chosen
  /// here once more: the stream may be anybody's. Returns the mode, which without its ACL gives the group what the ACL gave it.
  private func setAttributes(_ entry: TarEntry, _ descriptor: Int32, _ path: RelativePath) -> UInt32 {
    var mode = entry.mode
    for attribute in entry.attributes where ExtendedAttribute.isKept(attribute.name) {
      let isList = attribute.name == ExtendedAttribute.accessList
      if !ExtendedAttribute.isGrant(attribute.name) || target.keepsOwners {
        do throws(SystemError) {
          try ExtendedAttribute.set(attribute.name, attribute.value, of: descriptor)
          continue
        } catch {
          report.attributes.add("\(RelativePath.shown(attribute.name)) of \(path.shown): \(error.errno)")
        }
      }
      if isList { mode = mode & ~0o070 | (AccessList.groupPermissions(attribute.value) ?? 0) << 3 }
    }
    return mode
  }

  /// Folders get their mode and time last: they were written to until now.
  private func finishFolders() {
    parent = nil
    for folder in made.reversed() {
      do throws(SystemError) {
        let open = try openFolder(folder.path)
        try setMetadata(folder.entry, open.raw, folder.path)
      } catch {
        report.failed.add("\(folder.path.shown): \(error.errno)")
      }
    }
  }
}
