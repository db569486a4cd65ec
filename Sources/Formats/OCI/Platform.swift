/// What an image runs on, in Go's words (image-spec, image-index.md, "platform").
public struct Platform: Sendable, Hashable, CustomStringConvertible {
  public let os: String
  public let architecture: String
  /// Normalised: `arm64/v8` and `amd64/v1` have none, `arm` without one is `v7`.
  public let variant: String?

  public init(os: String, architecture: String, variant: String? = nil) {
    self.os = os
    (self.architecture, self.variant) = Self.normalised(architecture, variant)
  }

  /// `linux/arm64`, `linux/arm/v7`; `arm64` alone means Linux. Other spellings of an architecture (`x86_64`,
  /// `aarch64`) are taken as Docker takes them.
  public init(_ text: String) throws(FormatError) {
    guard !text.isEmpty else { throw FormatError("the platform is empty") }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    let bare = parts.allSatisfy { part in
      !part.isEmpty && part.utf8.count <= 32
        && part.utf8.allSatisfy {
          $0.hexDigit != nil || $0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A || $0 == 0x5F || $0 == 0x2E
        }
    }
    guard bare, (1...3).contains(parts.count) else {
      throw FormatError("is not a platform; linux/amd64 and linux/arm/v7 are", offending: text)
    }
    switch parts.count {
    case 1: self.init(os: "linux", architecture: parts[0])
    case 2: self.init(os: parts[0], architecture: parts[1])
    default: self.init(os: parts[0], architecture: parts[1], variant: parts[2])
    }
  }

  public var description: String { os + "/" + architecture + (variant.map { "/" + $0 } ?? "") }

  /// How well an image for `offered` serves here: 0 is exact, higher is worse, nil is not at all. An older variant of
  /// arm runs on a newer one.
  public func distance(to offered: Platform) -> Int? {
    guard os == offered.os, architecture == offered.architecture else { return nil }
    if variant == offered.variant { return 0 }
    guard let own = Self.level(variant, architecture), let other = Self.level(offered.variant, architecture),
      other < own
    else { return nil }
    return own - other
  }

  private static func level(_ variant: String?, _ architecture: String) -> Int? {
    guard architecture == "arm" || architecture == "amd64" || architecture == "arm64" else { return nil }
    guard let variant else { return architecture == "arm64" ? 8 : 1 }
    guard variant.hasPrefix("v"), let level = Int(variant.dropFirst()), (1...99).contains(level) else { return nil }
    return level
  }

  private static func normalised(_ architecture: String, _ variant: String?) -> (String, String?) {
    let variant = variant == "" ? nil : variant
    switch (architecture, variant) {
    case ("x86_64", nil), ("x86-64", nil), ("amd64", "v1"): return ("amd64", nil)
    case ("aarch64", nil), ("aarch64", "v8"), ("arm64", "v8"), ("arm64", "8"): return ("arm64", nil)
    case ("i386", _), ("i686", _), ("386", _): return ("386", nil)
    case ("arm", nil), ("arm", "7"), ("armhf", nil): return ("arm", "v7")
    case ("arm", "5"), ("arm", "6"), ("arm", "8"): return ("arm", "v" + (variant ?? ""))
    case ("armel", nil): return ("arm", "v6")
    default: return (architecture, variant)
    }
  }
}
