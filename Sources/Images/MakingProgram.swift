import CLinux
import Formats
import Linux

/// `immure-front`, where what is missing of an image is made: no code that reads layers runs in the command that starts boxes.
public enum MakingProgram {
  /// Where it may be, seen from this executable; never looked for in PATH.
  public static func candidates() -> [String] {
    // Without /proc it is found nowhere, and said to be absent.
    guard let own = try? File.readLink("/proc/self/exe"), let folder = File.parent(of: own) else { return [] }
    let above = File.parent(of: folder) ?? "/"
    return [above + "/libexec/immure-front", above + "/libexec/immure/immure-front", folder + "/immure-front"]
  }

  /// Lets it make a part of an image that its caller holds a lease of; what goes wrong is told by it, on standard output.
  static func run(_ role: String, _ store: ImageStore, _ image: Image) throws(ImageError) {
    guard let path = candidates().first(where: { File.exists($0) }) else {
      throw ImageError("immure-front is not installed: it makes what is missing of the image \(image.name)")
    }
    let said: [UInt8]
    let status: ExitStatus
    do throws(SystemError) {
      let pipe = try DescriptorPair.pipe()
      let nothing = try File.open("/dev/null", O_RDWR)
      let child = try Process.spawn(
        path, arguments: ["immure-front", role, store.directory, image.manifestDigest.hex],
        environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
        descriptors: [nothing.rawValue, pipe.second.rawValue, nothing.rawValue])
      let reading = try pipe.first.duplicate()
      _ = consume pipe
      said = try File.readAll(reading.rawValue, limit: 1 << 16)
      status = try child.wait() ?? .exited(1)
    } catch { throw ImageError("cannot start immure-front", error) }
    guard status == .exited(0) else {
      let line = String(decoding: said.filter { $0 != 10 }, as: UTF8.self)
      throw ImageError("image \(image.name): \(line.isEmpty ? "immure-front ended (\(status))" : line)")
    }
  }
}
