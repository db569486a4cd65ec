import CLinux
import Linux

/// A mount of an image's files that this process keeps, for its own box and for those that start while it runs.
public struct ImagePin: Sendable, Equatable {
  /// How the kernel reads the files.
  package enum Mode: String, Sendable {
    /// Into memory twice: as the file, and as the image's file.
    case buffered
    case direct
    case loop
  }
  let pins: ImagePins
  /// Detached; the process never closes it.
  let descriptor: Int32
  let device: UInt64
  package let mode: Mode
  /// Where others find it; nil where enough of them are known.
  let slot: Int?

  /// Lets others find the mount in this process: called again by a monitor, which is another process than the one that mounted.
  ///
  /// What cannot be written is only not found: the next box mounts the files once more.
  public func publish() { pins.publish(self) }
}

/// Which processes keep a mount of one image: links `KEY.N` whose text is the process and its descriptor. Nothing in them is believed
/// before the process and what it holds were looked at, so what kill -9 leaves does no harm.
struct ImagePins: Sendable, Equatable {
  let folder: String
  let key: String
  private static let slots = 4

  /// Held while one mounts the image.
  func lock() throws(ImageError) -> FileDescriptor {
    try system("cannot lock the image store") { () throws(SystemError) in
      do throws(SystemError) {
        return try locked()
      } catch  where error.errno == .noEntry {
        try File.makeDirectories(folder, mode: 0o700)
        return try locked()
      }
    }
  }

  private func locked() throws(SystemError) -> FileDescriptor {
    let file = try File.open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    _ = try File.lock(file.rawValue)
    return file
  }

  /// Whether somebody kept a mount of the image since the machine started, be it that nobody does now. Only speed hangs on it.
  var wereKept: Bool { (0..<Self.slots).contains { read($0)?.boot == Entry.thisBoot } }

  /// A mount that a living process keeps, as a clone of our own.
  func find() throws(ImageError) -> ImagePin? {
    var free: Int?
    for slot in 0..<Self.slots {
      guard let entry = read(slot) else {
        // Taken in order: none follows.
        return nil
      }
      guard let taken = entry.take() else {
        free = free ?? slot
        continue
      }
      // A second one is to be known, for the first to end.
      let spare = free ?? (slot + 1 < Self.slots && read(slot + 1)?.isAlive != true ? slot + 1 : nil)
      let pin = ImagePin(pins: self, descriptor: taken, device: entry.device, mode: mode(of: taken, entry), slot: spare)
      pin.publish()
      return pin
    }
    return nil
  }

  /// A mount that was buffered for the first box after a pull: whoever comes later reads directly.
  private func mode(of mount: Int32, _ entry: Entry) -> ImagePin.Mode {
    guard entry.mode == .buffered, let release = KernelRelease.running(),
      EROFSFault.known(in: release, directIO: true) == nil,
      // It goes on as it is where the kernel has no such option.
      (try? Mount.reconfigure(mount, type: "erofs", ["directio"])) != nil
    else { return entry.mode }
    return .direct
  }

  /// Keeps a new mount, and lets others find it.
  func keep(_ mount: Int32, _ mode: ImagePin.Mode) throws(ImageError) -> ImagePin {
    let device = try system("the image's mount") { () throws(SystemError) in
      UInt64(try File.status("", at: mount).st_dev)
    }
    let free = (0..<Self.slots).first { read($0)?.isAlive != true }
    let pin = ImagePin(pins: self, descriptor: mount, device: device, mode: mode, slot: free)
    pin.publish()
    return pin
  }

  func publish(_ pin: ImagePin) {
    guard let slot = pin.slot, let process = ProcessIdentity(pid: Process.id) else { return }
    let entry = Entry(
      process: process, boot: Entry.thisBoot, descriptor: pin.descriptor, device: pin.device, mode: pin.mode)
    let name = folder + "/" + key + ".\(slot)"
    let own = name + "-\(process.pid)"
    // See `ImagePin.publish`: a link less is a mount more.
    try? File.remove(own)
    guard (try? File.symlink(entry.text, at: own)) != nil else { return }
    try? File.rename(own, to: name)
  }

  private func read(_ slot: Int) -> Entry? {
    (try? File.readLink(folder + "/" + key + ".\(slot)")).flatMap(Entry.init(text:))
  }

  /// One process that keeps a mount.
  struct Entry {
    let process: ProcessIdentity
    let boot: String
    let descriptor: Int32
    /// st_dev of the image's root: the kernel gives every mounted file system another.
    let device: UInt64
    let mode: ImagePin.Mode

    static var thisBoot: String { ((try? File.text("/proc/sys/kernel/random/boot_id")) ?? "").filter { $0 != "\n" } }

    var text: String { "\(process.pid) \(process.startTime) \(boot) \(descriptor) \(device) \(mode.rawValue)" }
    var isAlive: Bool { process.isAlive && boot == Self.thisBoot }

    init(process: ProcessIdentity, boot: String, descriptor: Int32, device: UInt64, mode: ImagePin.Mode) {
      self.process = process
      self.boot = boot
      self.descriptor = descriptor
      self.device = device
      self.mode = mode
    }

    init?(text: String) {
      let words = text.split(separator: " ")
      guard words.count == 6, let pid = Int32(words[0]), pid > 0, let start = UInt64(words[1]),
        let descriptor = Int32(words[3]), descriptor >= 0, let device = UInt64(words[4]),
        let mode = ImagePin.Mode(rawValue: String(words[5]))
      else { return nil }
      self.init(
        process: ProcessIdentity(pid: pid, startTime: start), boot: String(words[2]), descriptor: descriptor,
        device: device, mode: mode)
    }

    /// A clone of the mount that the process keeps. Nil where it is gone, keeps something else, or the kernel does not allow it: no
    /// error, for the files can be mounted once more.
    func take() -> Int32? {
      guard boot == Self.thisBoot, let copy = try? process.copyDescriptor(descriptor),
        (try? File.fileSystemKind(copy.rawValue)) == DetachedMount.erofsKind,
        let status = try? File.status("", at: copy.rawValue), UInt64(status.st_dev) == device
      else { return nil }
      return (try? DetachedMount.clone("", at: copy.rawValue, recursive: false))?.release()
    }
  }
}
