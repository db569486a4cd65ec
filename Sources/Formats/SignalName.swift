/// Signals by number and name, as x86-64, arm64 and riscv64 number them (signal(7)); real-time signals as glibc does: 34 to 64.
public enum SignalName {
  /// Without "SIG"; the name at index N is signal N's, the first is no signal.
  public static let standard = [
    "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
    "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH",
    "IO", "PWR", "SYS",
  ]
  static let synonyms: [(String, Int32)] = [("CLD", 17), ("POLL", 29), ("IOT", 6), ("UNUSED", 31)]
  static let realTimeMinimum: Int32 = 34
  static let realTimeMaximum: Int32 = 64

  /// The number that "SIGTERM", "TERM", "term", "15" or "SIGRTMIN+3" means, 1 to 64; nil for none.
  public static func number(_ text: String) -> Int32? {
    if let number = Int32(text) { return (1...realTimeMaximum).contains(number) && !text.hasPrefix("+") ? number : nil }
    var name = Substring(text.uppercased())
    if name.hasPrefix("SIG") { name = name.dropFirst(3) }
    if name.isEmpty { return nil }
    if let index = standard.firstIndex(of: String(name)) { return Int32(index) }
    if let synonym = synonyms.first(where: { $0.0 == name }) { return synonym.1 }
    if name.hasPrefix("RTMIN") { return realTime(name.dropFirst(5), from: realTimeMinimum, sign: "+") }
    if name.hasPrefix("RTMAX") { return realTime(name.dropFirst(5), from: realTimeMaximum, sign: "-") }
    return nil
  }

  private static func realTime(_ rest: Substring, from base: Int32, sign: Character) -> Int32? {
    if rest.isEmpty { return base }
    guard rest.first == sign, let offset = UInt8(rest.dropFirst()), rest.dropFirst().first != "+" else { return nil }
    let number = sign == "+" ? base + Int32(offset) : base - Int32(offset)
    return (realTimeMinimum...realTimeMaximum).contains(number) ? number : nil
  }

  /// "SIGTERM" for 15, "SIGRTMIN+3" for 37; a bare number for one without a name.
  public static func name(_ number: Int32) -> String {
    if number > 0 && number < standard.count { return "SIG" + standard[Int(number)] }
    if (realTimeMinimum...realTimeMaximum).contains(number) {
      return number == realTimeMinimum ? "SIGRTMIN" : "SIGRTMIN+\(number - realTimeMinimum)"
    }
    return "\(number)"
  }
}
