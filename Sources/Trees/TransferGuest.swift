import CLinux
import Linux

/// The program that copies files behind a user-space kernel: this executable as one of the guests, with guests' calls, files and ids and nothing
/// of the host's but its three streams. What it says is believed as little as any guest: a stream that the other half reads as hostile.
package enum TransferGuest {
  /// By which the executable knows what it is.
  package static let name = "immure-transfer"

  /// Over /proc, for this guest alone and until it has opened what it wants of it.
  package static let place = "/proc"
  /// What is in that place: the executable, a procfs, and what the root began as.
  package static let program = "immure"
  package static let processes = "proc"
  package static let original = "original"

  /// The whole life of the program. Its input or output is the stream, its errors' file takes the report.
  /// - Parameter words: those of an order.
  /// - Returns: the exit status; 0 where the report was written.
  package static func run(_ words: [String]) -> Int32 {
    guard let order = TransferOrder(words: words) else { return 2 }
    var report = TransferReport()
    do throws(SystemError) { report = try perform(order) } catch { report.fatal = "\(error)" }
    // Nobody is left to tell.
    do throws(SystemError) { try File.writeAll(2, report.encoded) } catch { return 1 }
    return 0
  }

  private static func perform(_ order: TransferOrder) throws(SystemError) -> TransferReport {
    try SignalSet.ignore(SIGPIPE)
    let signals = order.isReceiving ? try TransferOrder.endingSignals() : nil
    let reopener = try Reopener(processes: place + "/" + processes)
    let original =
      order.wantsOriginal ? try File.open(place + "/" + Self.original, O_RDONLY | O_DIRECTORY) : nil
    try Mount.detach(place)
    Identity.setUmask(0)
    let root = try File.open("/", O_PATH | O_DIRECTORY)
    let report = try order.perform(
      in: .root(root.rawValue), stream: order.isReceiving ? 0 : 1, reopener, original: original, signals: signals)
    return report
  }
}
