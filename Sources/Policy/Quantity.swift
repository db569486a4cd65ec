/// Sizes, times and counts as people write them ("256m", "1.5", "30s") and read them ("256 MiB").
public enum Quantity {
  /// "256 MiB", "1 GiB", "1000 B": the largest binary unit that divides the number.
  public static func bytes(_ count: UInt64) -> String {
    let units: [(UInt64, String)] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
    for (size, name) in units where count >= size && count % size == 0 { return "\(count / size) \(name)" }
    return "\(count) B"
  }

  /// "1.5" from 1500.
  public static func thousandths(_ count: UInt64) -> String {
    let whole = count / 1000
    var fraction = String(count % 1000)
    if fraction == "0" { return "\(whole)" }
    fraction = String(repeating: "0", count: 3 - fraction.utf8.count) + fraction
    while fraction.hasSuffix("0") { fraction.removeLast() }
    return "\(whole).\(fraction)"
  }

  /// "30s", "1500ms", "2m".
  public static func milliseconds(_ count: UInt64) -> String {
    if count % 3_600_000 == 0 && count > 0 { return "\(count / 3_600_000)h" }
    if count % 60_000 == 0 && count > 0 { return "\(count / 60_000)m" }
    return count % 1000 == 0 ? "\(count / 1000)s" : "\(count)ms"
  }

  /// "256m", "256MiB", "1g", "1.5g", "4096": Docker's and podman's spellings, all binary; nil where the text is none.
  public static func parseBytes(_ text: String) -> UInt64? {
    let suffixes: [(String, UInt64)] = [
      ("tib", 1 << 40), ("gib", 1 << 30), ("mib", 1 << 20), ("kib", 1 << 10), ("tb", 1 << 40), ("gb", 1 << 30),
      ("mb", 1 << 20), ("kb", 1 << 10), ("t", 1 << 40), ("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10), ("b", 1),
      ("", 1),
    ]
    var lower = text.lowercased()
    for (suffix, unit) in suffixes where lower.hasSuffix(suffix) {
      lower.removeLast(suffix.utf8.count)
      while lower.hasSuffix(" ") { lower.removeLast() }
      return parseDecimal(lower, scale: unit)
    }
    return nil
  }

  /// "30s", "1500ms", "2m", "1h30m", "30" (seconds), in milliseconds; nil where the text is none.
  public static func parseMilliseconds(_ text: String) -> UInt64? {
    if let seconds = parseDecimal(text, scale: 1000) { return seconds }
    var total: UInt64 = 0
    var rest = Substring(text)
    if rest.isEmpty { return nil }
    while !rest.isEmpty {
      let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
      rest = rest.dropFirst(number.count)
      let unit = rest.prefix { $0.isLetter }
      rest = rest.dropFirst(unit.count)
      let scale: UInt64
      switch unit {
      case "ms": scale = 1
      case "s": scale = 1000
      case "m": scale = 60_000
      case "h": scale = 3_600_000
      case "d": scale = 86_400_000
      default: return nil
      }
      guard let part = parseDecimal(String(number), scale: scale) else { return nil }
      let (sum, overflow) = total.addingReportingOverflow(part)
      if overflow { return nil }
      total = sum
    }
    return total
  }

  /// "1.5" in thousandths; nil where the text is none.
  public static func parseThousandths(_ text: String) -> UInt64? { parseDecimal(text, scale: 1000) }

  /// A plain decimal number with an optional fraction, times `scale`, rounded down; nil for anything else or an overflow.
  static func parseDecimal(_ text: String, scale: UInt64) -> UInt64? {
    let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    func isDigits(_ part: Substring) -> Bool { !part.isEmpty && part.utf8.allSatisfy { $0 >= 48 && $0 <= 57 } }
    guard let first = parts.first, isDigits(first), let whole = UInt64(first) else { return nil }
    let (scaled, overflow) = whole.multipliedReportingOverflow(by: scale)
    if overflow { return nil }
    if parts.count == 1 { return scaled }
    guard isDigits(parts[1]), parts[1].utf8.count <= 9 else { return nil }
    var fraction: UInt64 = 0
    var power: UInt64 = 1
    for digit in parts[1].utf8 {
      fraction = fraction * 10 + UInt64(digit - 48)
      power *= 10
    }
    let (product, tooLarge) = fraction.multipliedReportingOverflow(by: scale)
    if tooLarge { return nil }
    let (sum, sumOverflow) = scaled.addingReportingOverflow(product / power)
    return sumOverflow ? nil : sum
  }
}
