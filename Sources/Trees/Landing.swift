import CLinux
import Formats
import Linux

/// Where a stream lands, by the rules of `docker cp`: into a folder that is there under its own name, else at the place named, whose
/// parent must be there; "FOLDER/." brings what is in the folder and not the folder.
struct Landing: ~Copyable {
  /// Everything is written beneath it.
  let top: Folder
  /// What the stream's first member is called beneath it.
  private let base: RelativePath
  /// The first part of the stream's names, which `base` stands for; nil for an archive, whose names are kept.
  private let root: [UInt8]?

  private init(top: consuming Folder, base: RelativePath, root: [UInt8]?) {
    self.top = top
    self.base = base
    self.root = root
  }

  /// - Parameter first: the stream's first member; nil for an archive.
  static func find(
    _ target: TreeTarget, in place: TreePlace, first: TarEntry?
  ) throws(TransferStop) -> Landing {
    let typed = TypedPath(target.path)
    let shown = RelativePath.shown(Array(target.path.utf8))
    let found = try look(typed, in: place, shown)
    guard let first else {
      guard let found, found.kind == .directory else {
        throw TransferStop("\(shown) is no folder: an archive is unpacked into a folder that is there")
      }
      return Landing(top: try folder(found.descriptor.rawValue, shown), base: .root, root: nil)
    }
    let name = Array(first.path.prefix { $0 != UInt8(ascii: "/") })
    if let found, found.kind == .directory {
      let base = name.elementsEqual(".".utf8) ? RelativePath.root : RelativePath.root.appending(name)
      return Landing(top: try folder(found.descriptor.rawValue, shown), base: base, root: name)
    }
    let isFolder = first.kind == .directory
    if found != nil, typed.mustBeFolder || isFolder {
      throw TransferStop(
        isFolder ? "\(shown) is there and no folder: a folder cannot take its place" : "\(shown) is no folder")
    }
    guard let last = typed.name, isFolder || !typed.mustBeFolder else {
      throw TransferStop("\(shown): there is no such folder")
    }
    let top: Folder
    do throws(SystemError) {
      let above = try place.open(typed.parent, O_PATH | O_DIRECTORY)
      top = Folder(owning: try File.open(".", O_RDONLY | O_DIRECTORY, at: above.rawValue))
    } catch {
      let parent = RelativePath.shown(Array(typed.parent.utf8))
      throw TransferStop("\(shown): the folder \(parent) is not there (\(error.errno))")
    }
    let there: FileStatus?
    do throws(SystemError) { there = try top.status(last) } catch { throw TransferStop("\(shown): \(error.errno)") }
    switch there?.kind {
    case nil, .regular: break
    case .link: throw TransferStop("\(shown) is a link: name what it leads to")
    case let kind?: throw TransferStop("\(shown) is a \(kind.word), which nothing takes the place of")
    }
    return Landing(top: top, base: RelativePath.root.appending(last), root: name)
  }

  private static func look(
    _ typed: TypedPath, in place: TreePlace, _ shown: String
  ) throws(TransferStop) -> (kind: FileStatus.Kind, descriptor: OwnedDescriptor)? {
    do throws(SystemError) {
      let descriptor = OwnedDescriptor(try place.open(typed.path, O_PATH))
      return (FileStatus(try File.status("", at: descriptor.rawValue)).kind, descriptor)
    } catch {
      if error.errno == .noEntry { return nil }
      throw TransferStop("\(shown): \(error.errno)")
    }
  }

  private static func folder(_ descriptor: Int32, _ shown: String) throws(TransferStop) -> Folder {
    do throws(SystemError) {
      return Folder(owning: try File.open(".", O_RDONLY | O_DIRECTORY, at: descriptor))
    } catch {
      throw TransferStop("\(shown): \(error.errno)")
    }
  }

  /// Where a member of the stream belongs beneath `top`; nil for a name that leads elsewhere.
  func path(of member: [UInt8]) -> RelativePath? {
    var parts = member.split(separator: UInt8(ascii: "/"))[...]
    if let root {
      guard let first = parts.popFirst(), first.elementsEqual(root) else { return nil }
    }
    var path = base
    for part in parts where !part.elementsEqual(".".utf8) {
      if part.elementsEqual("..".utf8) || part.contains(0) { return nil }
      path = path.appending(Array(part))
    }
    return path
  }
}
