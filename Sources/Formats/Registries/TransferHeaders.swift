/// `Content-Range` of an answer (RFC 9110, 14.4): which bytes of a whole it holds.
public struct ContentRange: Sendable, Equatable {
  public var first: Int64
  public var last: Int64
  /// Nil where the server does not say (`*`).
  public var size: Int64?

  /// - Throws: `FormatError` for another unit, numbers that contradict each other, or no range.
  public init(_ text: String) throws(FormatError) {
    guard let parts = Self.parts(text), let range = parts.range, parts.size.map({ range.last < $0 }) ?? true else {
      throw FormatError("is not a range of bytes", offending: text)
    }
    first = range.first
    last = range.last
    size = parts.size
  }

  private static func parts(_ text: String) -> (range: ByteRange?, size: Int64?)? {
    guard text.utf8.count <= 128, text.lowercased().hasPrefix("bytes ") else { return nil }
    let halves = text.dropFirst(6).split(separator: "/", omittingEmptySubsequences: false)
    guard halves.count == 2, let range = try? ByteRange(String(halves[0])) else { return nil }
    if halves[1] == "*" { return (range, nil) }
    guard let size = ByteRange.number(halves[1]) else { return nil }
    return (range, size)
  }
}

/// `FIRST-LAST`, as a registry tells what it has of an upload (distribution-spec, "Pushing a blob in chunks"), with or without `bytes=`.
public struct ByteRange: Sendable, Equatable {
  public var first: Int64
  public var last: Int64

  public init(_ text: String) throws(FormatError) {
    let bare = text.hasPrefix("bytes=") ? text.dropFirst(6) : text[...]
    let parts = bare.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let first = Self.number(parts[0]), let last = Self.number(parts[1]), first <= last else {
      throw FormatError("is not a range", offending: text)
    }
    self.first = first
    self.last = last
  }

  /// Decimal digits below 2^62.
  static func number(_ text: Substring) -> Int64? {
    guard (1...18).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int64(text)
  }
}

/// `Retry-After` (RFC 9110, 10.2.3): how many seconds a server wants to be left alone.
public enum RetryAfter {
  /// - Parameter now: seconds since 1970, for a date.
  /// - Returns: 0 for a moment that has been; nil for what is neither a number nor a date in HTTP's one form.
  public static func seconds(_ text: String, now: Int64) -> Int64? {
    if let number = ByteRange.number(text[...]) { return number }
    // "Wed, 21 Oct 2015 07:28:00 GMT"
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    guard words.count == 6, words[5] == "GMT", words[0].utf8.count == 4,
      let day = ByteRange.number(words[1]), (1...31).contains(day),
      let monthIndex = months.firstIndex(of: String(words[2])),
      let year = ByteRange.number(words[3]), (1970...9999).contains(year)
    else { return nil }
    let clock = words[4].split(separator: ":", omittingEmptySubsequences: false).map { ByteRange.number($0) }
    guard clock.count == 3, let hour = clock[0], let minute = clock[1], let second = clock[2],
      hour < 24, minute < 60, second <= 60
    else { return nil }
    // Days since 1970 in 400-year eras that begin in March.
    let month = Int64(monthIndex) + 1
    let shifted = month <= 2 ? year - 1 : year
    let era = shifted / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    let days = era * 146_097 + dayOfEra - 719_468
    return max(0, days * 86_400 + hour * 3600 + minute * 60 + second - now)
  }
}
