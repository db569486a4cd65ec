import Formats
import Images
import Linux
import Options
import Registry
import Walls

/// `image mount`: paths to look at images' files.
enum MountImageCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    let isJSON = try ListFormat.isJSON(command)
    try store.prepare()
    try store.clearLeftovers()
    if command.operands.isEmpty {
      show(try store.allViews(), isJSON)
      return 0
    }
    let host = Host()
    let isRoot = host.isRoot
    var views: [ImageView] = []
    for word in command.operands {
      guard let image = try store.resolve(word) else { throw ImageStore.noSuchImage(word) }
      let (view, why) = try ImageViewing.make(image, isRoot: isRoot, in: store)
      if !command.flag("quiet") {
        if let why { Output.complain("\(view.name) is a copy: \(why)") }
        for note in view.notes { Output.complain("\(view.name): \(note)") }
      }
      views.append(view)
    }
    // One path alone is for scripts.
    if !isJSON, views.count == 1 { Output.print(views[0].path + "\n") } else { show(views, isJSON) }
    return 0
  }

  private static func show(_ views: [ImageView], _ isJSON: Bool) {
    guard isJSON else {
      let rows = views.map { [ListFormat.safe($0.name), $0.kind.rawValue, $0.path] }
      return Output.print(ImagesCommand.table([["IMAGE", "KIND", "PATH"]] + rows))
    }
    let values = views.map { view -> JSONValue in
      [
        "image": .string(view.name), "manifest": .string(view.manifest.description),
        "kind": .string(view.kind.rawValue), "path": .string(view.path),
        "notes": .array(view.notes.map { .string($0) }),
      ]
    }
    Output.print(JSONValue.array(values).text(indented: true) + "\n")
  }
}

/// `image unmount`: and away with them.
enum UnmountImageCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    guard command.flag("all") != !command.operands.isEmpty else {
      throw UsageError(command.verb, "wants images, or --all, and not both")
    }
    try store.prepare()
    let words = command.flag("all") ? try store.allViews().map(\.path) : command.operands
    var status: Int32 = 0
    for word in words {
      do throws(ImageError) { Output.print("unmounted \(ListFormat.safe(try store.removeView(word).name))\n") } catch {
        Output.complain(error.message)
        status = 1
      }
    }
    try store.clearLeftovers()
    return status
  }
}
