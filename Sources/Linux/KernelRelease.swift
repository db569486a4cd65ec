import CLinux

/// The running kernel's version (uname(2)). For known faults only: what a kernel can do is asked of it, never read from a number.
public struct KernelRelease: Comparable, Sendable {
  public let major: Int
  public let minor: Int
  public let patch: Int

  public init(_ major: Int, _ minor: Int, _ patch: Int) {
    self.major = major
    self.minor = minor
    self.patch = patch
  }

  /// "6.12.48+deb13-amd64" is 6.12.48; nil where it does not begin with two numbers. What a distributor mended without counting up is
  /// not seen.
  public init?(text: String) {
    var numbers: [Int] = []
    for part in text.utf8.split(separator: UInt8(ascii: "."), maxSplits: 2, omittingEmptySubsequences: false) {
      let digits = part.prefix { $0 >= 48 && $0 <= 57 }
      guard let number = Int(String(decoding: digits, as: UTF8.self)) else { break }
      numbers.append(number)
      if digits.count != part.count { break }
    }
    if numbers.count < 2 { return nil }
    self.init(numbers[0], numbers[1], numbers.count > 2 ? numbers[2] : 0)
  }

  /// This machine's.
  public static func running() -> KernelRelease? {
    var names = utsname()
    // SAFETY: uname fills the struct, whose fields are NUL-terminated; `release` is read while it lives.
    let result = unsafe withUnsafeMutablePointer(to: &names) { systemCall(Int(SYS_uname), UInt(bitPattern: $0)) }
    if result != 0 { return nil }
    let text = unsafe withUnsafeBytes(of: names.release) {
      unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
    }
    return KernelRelease(text: text)
  }

  public static func < (left: KernelRelease, right: KernelRelease) -> Bool {
    (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
  }
}
