import Linux
import Trees

extension Plan {
  /// Compares what the plan expects with what the host has, and lets it expect what is there: forced, it is applied so;
  /// otherwise conflicts mean that it is not applied at all. What the box never saw is not deleted even then.
  mutating func reconcile(with host: borrowing Folder, baseline: Baseline) throws(WorkspaceError) -> [Conflict] {
    var conflicts: [Conflict] = []
    let removed = Set(operations.filter(\.isRemoval).map(\.path))
    // Folders that stay because something the box never saw is in them.
    var stayed: Set<RelativePath> = []
    var kept: [Operation] = []
    for var operation in operations {
      let path = operation.path
      // Of a folder that this plan makes the permissions are set last; there is nothing to compare yet.
      if operation.kind == .setMode && operation.expected == nil {
        kept.append(operation)
        continue
      }
      let now = try Self.status(of: path, in: host)
      if operation.isRemoval {
        // A deletion that the host has made too is done.
        guard let now else { continue }
        if operation.expected?.matches(now) != true {
          conflicts.append(Conflict(path: path, reason: "changed on the host"))
        }
        if now.isDirectory {
          let left = try Self.names(in: path, of: host).filter { !removed.contains($0) || stayed.contains($0) }
          for stranger in left where !stayed.contains(stranger) {
            conflicts.append(Conflict(path: stranger, reason: "appeared on the host"))
          }
          if !left.isEmpty {
            stayed.insert(path)
            continue
          }
        }
        operation.kind = now.isDirectory ? .removeFolder : .removeFile
        operation.expected = BaselineEntry(now)
      } else if stayed.contains(path) {
        continue
      } else if removed.contains(path) {
        operation.expected = nil
      } else if operation.kind == .makeFolder {
        if let now, !now.isDirectory { conflicts.append(Conflict(path: path, reason: "appeared on the host")) }
      } else {
        if let reason = Self.difference(operation.expected, now) {
          conflicts.append(Conflict(path: path, reason: reason))
        }
        operation.expected = now.map(BaselineEntry.init)
      }
      kept.append(operation)
    }
    operations = kept
    try addMissingFolders(on: host, baseline: baseline)
    return conflicts
  }

  private static func difference(_ expected: BaselineEntry?, _ now: FileStatus?) -> String? {
    switch (expected, now) {
    case (nil, nil): nil
    case (nil, .some): "appeared on the host"
    case (.some, nil): "is gone from the host"
    case (let expected?, let now?): expected.matches(now) ? nil : "changed on the host"
    }
  }

  /// Folders that the host has no more, and that forced changes need.
  private mutating func addMissingFolders(on host: borrowing Folder, baseline: Baseline) throws(WorkspaceError) {
    var made = Set(operations.filter { $0.kind == .makeFolder }.map(\.path))
    var missing: [Operation] = []
    for operation in operations where !operation.isRemoval {
      var parent = operation.path.parent
      while !parent.isRoot, !made.contains(parent), try Self.status(of: parent, in: host) == nil {
        made.insert(parent)
        missing.append(
          Operation(.makeFolder, parent, mode: baseline[parent].map { $0.mode & 0o777 } ?? 0o755, expected: nil))
        parent = parent.parent
      }
    }
    let first = operations.firstIndex { !$0.isRemoval } ?? operations.count
    operations.insert(contentsOf: missing.sorted { $0.path < $1.path }, at: first)
  }

  /// What the host has at a path; nil where there is nothing, or no way there without a link.
  private static func status(of path: RelativePath, in host: borrowing Folder) throws(WorkspaceError) -> FileStatus? {
    do throws(SystemError) {
      let parent = try host.folder(path.parent)
      return try parent.status(path.name)
    } catch {
      switch error.errno {
      case .noEntry, .notDirectory, .loop: return nil
      default: throw WorkspaceError("look at \(path.shown) on the host", error)
      }
    }
  }

  private static func names(in path: RelativePath, of host: borrowing Folder) throws(WorkspaceError) -> [RelativePath] {
    do throws(SystemError) {
      let folder = try host.folder(path)
      return try folder.names().map { path.appending($0) }
    } catch {
      throw WorkspaceError("read \(path.shown) on the host", error)
    }
  }
}
