import Formats
import Images
import Options

/// `images`: what is in the store.
enum ImagesCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    let images = try store.list()
    if command.flag("quiet") {
      Output.print(images.map { $0.configuration.description + "\n" }.joined())
      return 0
    }
    switch command.value("format") ?? "table" {
    case "json": Output.print(JSONValue.array(images.map(json)).text(indented: true) + "\n")
    case "table":
      Output.print(
        table(
          [["NAME", "ID", "PLATFORM", "SIZE", "STORED"]]
            + images.map {
              [
                $0.familiar, $0.configuration.short, $0.platform.description, size($0.size),
                Timestamp.rfc3339(seconds: $0.stored),
              ]
            }))
    case let other:
      throw UsageError(command.verb, "--format \"\(FormatError.presentable(other))\": there are table and json")
    }
    return 0
  }

  private static func json(_ image: NamedImage) -> JSONValue {
    [
      "name": .string(image.familiar), "canonicalName": .string(image.name),
      "id": .string(image.configuration.description), "manifest": .string(image.manifest.description),
      "platform": .string(image.platform.description), "size": .integer(image.size),
      "stored": .string(Timestamp.rfc3339(seconds: image.stored)),
    ]
  }

  /// Columns two blanks apart, the last one as it is.
  static func table(_ rows: [[String]]) -> String {
    var widths: [Int] = []
    for row in rows {
      for (column, cell) in row.enumerated() {
        if column == widths.count { widths.append(0) }
        widths[column] = max(widths[column], cell.count)
      }
    }
    return rows.map { row in
      row.enumerated().map { column, cell in
        column == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count + 2)
      }.joined() + "\n"
    }.joined()
  }

  /// "74.3 MiB".
  static func size(_ bytes: Int64) -> String {
    var value = Double(bytes)
    var unit = 0
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024, unit < units.count - 1 {
      value /= 1024
      unit += 1
    }
    if unit == 0 { return "\(bytes) B" }
    let tenths = Int64((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10) \(units[unit])"
  }
}

/// `image inspect`: an image's configuration and layers, as JSON.
enum InspectImageCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    let word = command.operands[0]
    guard let image = try store.resolve(word) else { throw ImageStore.noSuchImage(word) }
    Output.print(try store.inspection(of: image).text(indented: true) + "\n")
    return 0
  }
}
