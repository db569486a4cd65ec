import CLinux
package import Linux
public import Walls

/// How this machine gives the files of an image that was never unpacked, best first: the kernel reads the image files themselves, or
/// through loop devices, or they are unpacked. What a kernel can do is found by mounting, never by its version; only known faults are.
public struct ImageLadder: Sendable {
  public enum Rung: String, Sendable, CaseIterable {
    case file, loop, unpack
  }

  /// What an image's files became.
  public enum Outcome: Sendable, Equatable {
    case mounted(ImageMount, ImagePin)
    /// Nothing was mounted: why, where that is worth saying.
    case unpack(String?)
  }

  /// The store's folder.
  let folder: String
  /// Whether the caller has power over mounts of the machine (`Host.isRoot`): the kernel mounts EROFS for nobody else.
  let isRoot: Bool
  /// The only rung to take.
  let forced: Rung?
  let release: KernelRelease?

  /// One rung by its name instead of all in turn; a rung that cannot be had is then an error, not left for the next. The environment is
  /// the caller's own, who may do all that a rung does: nothing that comes with an image or out of a box is asked.
  public static let variable = "IMMURE_IMAGE_MOUNT"

  public init(folder: String, isRoot: Bool) throws(ImageError) {
    let word = Process.environment(Self.variable) ?? ""
    guard let rung = word.isEmpty ? .some(nil) : Rung(rawValue: word).map(Optional.some) else {
      throw ImageError(.usage, "\(Self.variable)=\"\(word)\": there are file, loop and unpack")
    }
    self.init(folder: folder, isRoot: isRoot, forced: rung, release: KernelRelease.running())
  }

  package init(folder: String, isRoot: Bool, forced: Rung?, release: KernelRelease?) {
    self.folder = folder
    self.isRoot = isRoot
    self.forced = forced
    self.release = release
  }

  /// Mounts an image's files, or finds the mount that a running box has.
  ///
  /// Boxes whose images have the same metadata share a mount, and so what is read of it is in memory once.
  /// - Throws: `damaged` where a file is not what the store made; `failed` for a lack that another rung would meet too.
  public func mount(_ mountable: MountableFiles) throws(ImageError) -> Outcome {
    if forced == .unpack { return .unpack(nil) }
    if !isRoot {
      if forced != nil { throw ImageError("\(Self.variable): mounting an image's files wants root") }
      return .unpack(nil)
    }
    // Named for the layers below it.
    let key = String(mountable.metadata.split(separator: "/").last ?? "")
    let pins = ImagePins(folder: folder + "/mounts", key: key)
    var image = ImageMount(metadata: mountable.metadata, devices: mountable.devices)
    if forced == nil, let found = try pins.find() {
      image.mount = found.descriptor
      return .mounted(image, found)
    }
    let files = try ImageFiles(mountable)
    // One after the other, so that of many boxes that start at once the first mounts and the others take its mount.
    let lock = try pins.lock()
    if forced == nil, let found = try pins.find() {
      image.mount = found.descriptor
      return .mounted(image, found)
    }
    let made = try fresh(files, isHot: files.isFresh || pins.wereKept)
    guard let mount = made.mount else { return .unpack(made.why) }
    image.mount = mount
    let pin = try pins.keep(mount, made.mode)
    _ = consume lock
    return .mounted(image, pin)
  }

  /// Mounts an image's files for nobody else: a file system of its own, which no box finds.
  /// - Returns: the mount's descriptor, which is the caller's; or nil, and why, where that is worth saying.
  public func mountAlone(_ mountable: MountableFiles) throws(ImageError) -> (mount: Int32?, why: String?) {
    if forced == .unpack { return (nil, nil) }
    guard isRoot else {
      if forced != nil { throw ImageError("\(Self.variable): mounting an image's files wants root") }
      return (nil, nil)
    }
    let files = try ImageFiles(mountable)
    let made = try fresh(files, isHot: files.isFresh)
    return (made.mount, made.why)
  }

  private func fresh(_ files: borrowing ImageFiles, isHot: Bool) throws(ImageError) -> (
    mount: Int32?, mode: ImagePin.Mode, why: String
  ) {
    var reasons: [String] = []
    for rung in [Rung.file, .loop] where forced == nil || forced == rung {
      if let fault = fault(rung) {
        reasons.append("\(rung.what): \(fault)")
        continue
      }
      do throws(SystemError) {
        let mode = mode(rung, isHot: isHot)
        return (try mount(files, rung, mode).release(), mode, "")
      } catch {
        guard Self.isRefusal(error) else { throw ImageError("cannot mount the image \(files.path)", error) }
        // The kernel takes images this way, but not this one.
        let works = (try? probe(rung)) != nil
        reasons.append("\(rung.what): \(error)" + (works ? ", though it takes other images so" : ""))
      }
    }
    let why = reasons.joined(separator: "; ")
    if forced != nil { throw ImageError("\(Self.variable)=\(forced?.rawValue ?? ""): \(why)") }
    return (nil, .loop, "the kernel mounts no image files here (\(why))")
  }

  /// Errors that say "not so" and may be another for another rung; others (memory, descriptors, the disk) are the machine's.
  private static func isRefusal(_ error: SystemError) -> Bool {
    switch error.errno {
    case .noDevice, .invalid, .notPermitted, .accessDenied, .notSupported, .notImplemented, .noEntry, .busy, .loop,
      Errno(rawValue: ENOTBLK), Errno(rawValue: ENXIO), Errno(rawValue: ENOTTY):
      true
    default: false
    }
  }

  /// Why a kernel that could is not asked to.
  package func fault(_ rung: Rung) -> String? {
    guard rung == .file, let release else { return nil }
    return EROFSFault.known(in: release, directIO: false)
  }

  /// A mount goes with its last box, and what was read through it with the mount: directly read, all of it comes from the disk again for
  /// the next box. So the first box since the machine started reads directly, which is quicker while nothing is in memory, and the next
  /// through the page cache, which outlives them, as what was just written is there too.
  /// Whoever takes part in a living mount makes it direct (`ImagePins.find`): what they read is in memory once, not as the file as well.
  private func mode(_ rung: Rung, isHot: Bool) -> ImagePin.Mode {
    switch rung {
    case .file: isHot || !allowsDirectIO ? .buffered : .direct
    case .loop, .unpack: .loop
    }
  }

  package var allowsDirectIO: Bool { release.map { EROFSFault.known(in: $0, directIO: true) == nil } ?? true }

  private func mount(_ files: borrowing ImageFiles, _ rung: Rung, _ mode: ImagePin.Mode) throws(SystemError)
    -> DetachedMount
  {
    let descriptors = files.descriptors
    if rung == .file {
      if mode == .direct {
        // Nothing of the image is in memory.
        ImageReadAhead.metadata(descriptors[0])
        let readAhead = ImageReadAhead()
        do throws(SystemError) {
          let mount = try DetachedMount.erofs(descriptors[0], devices: Array(descriptors.dropFirst()), directIO: true)
          readAhead.raise(to: files.device)
          return mount
        } catch  where error.errno == .invalid {
          // The option is newer than the mount (Linux 6.13).
        }
      }
      return try DetachedMount.erofs(descriptors[0], devices: Array(descriptors.dropFirst()))
    }
    return try LoopMount.make(descriptors)
  }

  /// Tries a rung with an image of our own that has nothing in it.
  package func probe(_ rung: Rung) throws(SystemError) {
    // On the store's own file system: what the kernel reads images from depends on it.
    var place = folder
    while !File.exists(place), let above = File.parent(of: place) { place = above }
    let file = try File.open(place, O_RDWR | O_TMPFILE, mode: 0o600)
    try File.writeAll(file.rawValue, EmptyImage.bytes)
    let mount =
      rung == .file ? try DetachedMount.erofs(file.rawValue) : try LoopMount.make([file.rawValue])
    guard try File.fileSystemKind(mount.descriptor.rawValue) == DetachedMount.erofsKind else {
      throw SystemError("fstatfs", "erofs", .invalid)
    }
  }
}

extension ImageLadder.Rung {
  var what: String {
    switch self {
    case .file: "image files themselves"
    case .loop: "loop devices"
    case .unpack: "unpacked"
    }
  }
}

extension ImageLadder {
  /// The rung that images get here, in a line for `doctor`.
  public func survey() -> String {
    if forced == .unpack { return "unpacked, as \(Self.variable) says" }
    if !isRoot { return "unpacked once for this user: mounting image files wants root" }
    var reasons: [String] = []
    for rung in [Rung.file, .loop] where forced == nil || forced == rung {
      if let fault = fault(rung) {
        reasons.append("\(rung.what): \(fault)")
        continue
      }
      do throws(SystemError) {
        try probe(rung)
        let how = rung == .file ? (allowsDirectIO ? ", read directly" : ", read through the page cache twice") : ""
        return (["EROFS from \(rung.what)\(how)"] + reasons.map { "not from \($0)" }).joined(separator: "; ")
      } catch {
        reasons.append("\(rung.what) (\(error))")
      }
    }
    return (["unpacked"] + reasons.map { "not from \($0)" }).joined(separator: "; ")
  }
}

/// An image through loop devices, which live as long as the mount. They read through the page cache: the kernels that are left with them are
/// older than shared mounts (Linux 6.15), and each box's mount would read all of it from the disk.
enum LoopMount {
  static func make(_ files: [Int32]) throws(SystemError) -> DetachedMount {
    var devices: [Int32] = []
    defer { for device in devices { _ = FileDescriptor(owning: device) } }
    for file in files { devices.append(try LoopDevice.attach(file, directIO: false).release()) }
    return try DetachedMount.erofs(devices[0], devices: Array(devices.dropFirst()))
  }
}
