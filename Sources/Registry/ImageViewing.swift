import CLinux
public import Images
import Linux

/// Making an image's files visible at a path.
public enum ImageViewing {
  /// The view of an image: the one there is, else a mount, else a copy of the files by the confined reader and the directory writer.
  ///
  /// - Parameter isRoot: whether the caller has power over mounts of the machine.
  /// - Returns: the view, and why it is a copy where that is worth saying.
  public static func make(
    _ image: Image, isRoot: Bool, in store: ImageStore
  ) throws(ImageError) -> (view: ImageView, why: String?) {
    guard let files = image.files else {
      throw ImageError(
        .notFound, "the image \(image.name) was stored by an early version, which kept no file to mount: pull it again")
    }
    let lease = try store.lease(image)
    var why: String?
    if let incoming = try store.beginView(image) {
      let mounted = try ImageLadder(folder: store.directory, isRoot: isRoot).mountAlone(files)
      if let mount = mounted.mount {
        try store.commit(mounting: DetachedMount(owning: FileDescriptor(owning: mount)), incoming)
      } else {
        why = mounted.why
        let notes = try copy(files, to: incoming)
        try store.commit(copied: incoming, notes: notes)
      }
    }
    _ = consume lease
    guard let view = try store.view(image.manifestDigest) else {
      throw ImageError("the image \(image.name) was unmounted by another command")
    }
    return (view, why)
  }

  private static func copy(
    _ files: MountableFiles, to view: borrowing IncomingView
  ) throws(ImageError) -> [String] {
    let what = "cannot start the processes that copy an image"
    let metadata = try system(what) { () throws(SystemError) in try File.open(files.metadata, O_RDONLY | O_NOFOLLOW) }
    var layers: [SharedFile] = []
    for path in files.devices {
      layers.append(
        SharedFile(try system(what) { () throws(SystemError) in try File.open(path, O_RDONLY | O_NOFOLLOW) }))
    }
    let processes = try system(what) { () throws(SystemError) in
      try UnpackingProcesses.start(
        TreeReader.role, input: metadata.rawValue, devices: layers.map(\.rawValue), tree: view.root.rawValue,
        lock: view.lockDescriptor, limit: LayerInstallation.defaultLimit, isPlain: false)
    }
    let (outcome, status) = try processes.wait()
    switch outcome {
    case .failed(_, _) where status != .exited(0) && status != .exited(1):
      throw ImageError(.damaged, "the worker that reads the image was ended by its confinement (\(status))")
    case .failed(let isDamaged, let message): throw ImageError(isDamaged ? .damaged : .failed, message)
    case .done(let contents): return contents.notes
    }
  }
}
