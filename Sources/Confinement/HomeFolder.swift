import CLinux
package import Formats
import Linux

/// HOME for a program whose environment has none: programs that Docker starts count on it. The box's own /etc/passwd says, asked from
/// inside with the rights of the box's user; whatever it says is no more than a variable of that program's.
package enum HomeFolder {
  private static let limit = 1 << 20

  package static func complete(_ process: ProcessConfiguration) -> ProcessConfiguration {
    if process.environment.contains(where: { $0.hasPrefix("HOME=") }) { return process }
    var whole = process
    whole.environment.append("HOME=" + (folder(of: process.user.user) ?? "/"))
    return whole
  }

  /// The sixth field of the user's line (passwd(5)); nil where there is none, or the file is no plain file.
  private static func folder(of user: UInt32) -> String? {
    // Not blocked by a pipe of that name; every failure means that nothing is known.
    guard let file = try? File.open("/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY),
      let status = try? File.status("", at: file.rawValue), File.kind(status) == S_IFREG, status.st_size <= limit,
      let bytes = try? File.read(file.rawValue, atMost: limit)
    else { return nil }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let fields = line.split(separator: ":", omittingEmptySubsequences: false)
      if fields.count == 7, fields[2] == "\(user)", fields[5].hasPrefix("/"), !fields[5].utf8.contains(0) {
        return String(fields[5])
      }
    }
    return nil
  }
}
