import Formats
import Images
import Linux
import Options
import Policy
import Trees
import Walls
import Workspace

/// `system df`: what the state root takes on the disk, by blocks.
enum SystemUse {
  private struct Box {
    let record: SandboxRecord?
    let id: String
    let status: String
    let isLive: Bool
    let folder: DiskUse
    let log: DiskUse
  }

  private struct Row {
    let kind: String
    let total: Int
    let active: Int
    let size: Int64
    let reclaimable: Int64
  }

  static func perform(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    let json = try Listing.wantsJSON(command)
    let store: StoreUse
    do throws(ImageError) { store = try ImageStore(root: session.store.root).use() } catch {
      throw CommandError(1, error.message)
    }
    let boxes = try boxes(session)
    let workspaces = try workspaces(session)
    let rows = [
      Row(
        kind: "Images", total: store.images.count, active: store.images.count(where: \.isActive),
        size: store.documents.bytes, reclaimable: 0),
      Row(
        kind: "Layers", total: store.layers.count, active: store.layers.count(where: \.isActive),
        size: store.layers.reduce(0) { $0 + $1.use.bytes }, reclaimable: store.reclaimable),
      Row(kind: "Unfinished", total: store.unfinishedCount, active: 0, size: store.unfinished.bytes, reclaimable: 0),
      Row(
        kind: "Sandboxes", total: boxes.count, active: boxes.count(where: \.isLive),
        size: boxes.reduce(0) { $0 + $1.folder.bytes },
        reclaimable: boxes.reduce(0) { $0 + ($1.isLive ? 0 : $1.folder.bytes) }),
      Row(
        kind: "Logs", total: boxes.count { $0.log.files > 0 }, active: boxes.count { $0.isLive && $0.log.files > 0 },
        size: boxes.reduce(0) { $0 + $1.log.bytes },
        reclaimable: boxes.reduce(0) { $0 + ($1.isLive ? 0 : $1.log.bytes) }),
      Row(
        kind: "Workspaces", total: workspaces.count, active: workspaces.count(where: \.isActive),
        size: workspaces.reduce(0) { $0 + $1.use.bytes }, reclaimable: 0),
    ]
    if json {
      Output.print(value(rows, store, boxes, workspaces).text(indented: true))
      return 0
    }
    var table = Table(["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"])
    for row in rows {
      table.add([row.kind, "\(row.total)", "\(row.active)", size(row.size), size(row.reclaimable)])
    }
    Output.write(1, table.text)
    if command.flag("verbose") { details(store, boxes, workspaces) }
    return 0
  }

  // MARK: Measuring

  private static func boxes(_ session: Session) throws(CommandError) -> [Box] {
    do {
      var found: [Box] = []
      for id in try session.store.ids() {
        let folder = session.store.directory(id)
        // A folder without a readable record is what a crash left; it takes room all the same.
        let record = try? session.store.load(id)
        let condition = record?.condition(bootID: session.host.bootID)
        let log = try DiskUse.of(folder + "/log")
        var all = try DiskUse.of(folder)
        all.bytes -= log.bytes
        found.append(
          Box(
            record: record, id: id, status: condition?.word ?? "damaged", isLive: condition?.isLive ?? false,
            folder: all, log: log))
      }
      return found
    } catch { throw CommandError(1, "system df: \(error)") }
  }

  private struct Place {
    let name: String
    let folder: String
    let isActive: Bool
    let use: DiskUse
  }

  private static func workspaces(_ session: Session) throws(CommandError) -> [Place] {
    do {
      return try Workspace.list(in: session.store.root).map { workspace in
        // Its sandbox may be long gone.
        let record = try? session.store.load(workspace.record.sandbox)
        return Place(
          name: workspace.name, folder: workspace.record.folder,
          isActive: record?.condition(bootID: session.host.bootID).isLive ?? false,
          use: try DiskUse.of(session.store.root + "/workspaces/" + workspace.name))
      }
    } catch { throw CommandError(1, "system df: \(error)") }
  }

  // MARK: Showing

  private static func details(_ store: StoreUse, _ boxes: [Box], _ workspaces: [Place]) {
    var images = Table(["IMAGE", "ID", "SIZE", "SHARED", "OWN", "IN USE"])
    for image in store.images {
      images.add([
        image.names.isEmpty ? "-" : image.names.joined(separator: ", "), image.configuration.short, size(image.size),
        size(image.size - image.own), size(image.own), image.isActive ? "yes" : "no",
      ])
    }
    var layers = Table(["LAYER", "SIZE", "FILES", "IMAGES", "IN USE"])
    for layer in store.layers {
      layers.add([
        layer.digest.short, size(layer.use.bytes), "\(layer.use.files)", "\(layer.images.count)",
        layer.isActive ? "yes" : "no",
      ])
    }
    var sandboxes = Table(["SANDBOX", "NAME", "STATUS", "SIZE", "LOG"])
    for box in boxes {
      sandboxes.add([box.id, box.record?.name ?? "-", box.status, size(box.folder.bytes), size(box.log.bytes)])
    }
    var spaces = Table(["WORKSPACE", "FOLDER", "SIZE", "IN USE"])
    for place in workspaces {
      spaces.add([
        place.name, FormatError.presentable(place.folder), size(place.use.bytes), place.isActive ? "yes" : "no",
      ])
    }
    for table in [images, layers, sandboxes, spaces] { Output.write(1, "\n" + table.text) }
  }

  private static func value(
    _ rows: [Row], _ store: StoreUse, _ boxes: [Box], _ workspaces: [Place]
  ) -> JSONValue {
    [
      "totals": .array(
        rows.map {
          [
            "type": .string($0.kind.lowercased()), "total": JSONValue($0.total), "active": JSONValue($0.active),
            "size": .integer($0.size), "reclaimable": .integer($0.reclaimable),
          ]
        }),
      "images": .array(
        store.images.map {
          [
            "names": .array($0.names.map { .string($0) }), "id": .string($0.configuration.description),
            "manifest": .string($0.manifest.description), "size": .integer($0.size), "own": .integer($0.own),
            "shared": .integer($0.size - $0.own), "active": .bool($0.isActive),
          ]
        }),
      "layers": .array(
        store.layers.map {
          [
            "digest": .string($0.digest.description), "size": .integer($0.use.bytes), "files": .integer($0.use.files),
            "images": JSONValue($0.images.count), "active": .bool($0.isActive),
          ]
        }),
      "sandboxes": .array(
        boxes.map {
          [
            "id": .string($0.id), "name": $0.record.map { .string($0.name) } ?? .null, "status": .string($0.status),
            "size": .integer($0.folder.bytes), "log": .integer($0.log.bytes),
          ]
        }),
      "workspaces": .array(
        workspaces.map {
          [
            "name": .string($0.name), "folder": .string($0.folder), "size": .integer($0.use.bytes),
            "active": .bool($0.isActive),
          ]
        }),
    ]
  }

  /// "74.3 MiB".
  private static func size(_ bytes: Int64) -> String {
    if bytes < 1024 { return "\(bytes) B" }
    var unit = 0
    var rest = bytes
    let units = ["KiB", "MiB", "GiB", "TiB"]
    while rest >= 1024 * 1024, unit < units.count - 1 {
      rest /= 1024
      unit += 1
    }
    return "\(rest / 1024).\(rest % 1024 * 10 / 1024) \(units[unit])"
  }
}
