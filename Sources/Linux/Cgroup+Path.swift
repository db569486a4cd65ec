import CLinux

/// Groups at a path that somebody else chose (config-linux.md, "Cgroups Path"): the same in every hierarchy.
extension Cgroup {
  /// The folders that a group at `path` has here, whether they exist or not: of version 1 one in each controller's hierarchy (two
  /// controllers of one hierarchy share it), and the one of version 2 where there is any.
  /// - Parameter path: absolute below each hierarchy's mount point; relative below the group of this process.
  public static func places(at path: String, layout: CgroupLayout = .detect()) throws(SystemError) -> [Place] {
    guard path.split(separator: "/").allSatisfy({ $0 != ".." && $0 != "." }), path.contains(where: { $0 != "/" }) else {
      throw SystemError("cgroupsPath", path, .invalid)
    }
    let own = path.hasPrefix("/") ? nil : try CgroupMembership.of()
    func full(_ directory: String, _ above: String?) -> String {
      path.hasPrefix("/") ? directory + path : directory + (above == "/" ? "" : above ?? "") + "/" + path
    }
    var places: [Place] = []
    if layout.mode == .legacy || layout.mode == .hybrid {
      for controller in CgroupController.allCases {
        guard let directory = layout.directory(of: controller) else { continue }
        places.append(Place(controller: controller, path: full(directory, own?.legacy[controller.rawValue])))
      }
    }
    if let directory = layout.unifiedDirectory {
      places.append(Place(controller: nil, path: full(directory, own?.unified)))
    }
    return places
  }

  /// Makes the folders, with those above them, and writes the limits. An empty group that is there is taken over. Nothing that this call
  /// made at `path` itself is left when it throws; EBUSY where processes stand in the group already.
  public static func create(at path: String, limits: CgroupLimits, layout: CgroupLayout = .detect())
    throws(SystemError) -> Cgroup
  {
    var group = Cgroup(places: [])
    do throws(SystemError) {
      for place in try places(at: path, layout: layout) {
        let isNew = try makeAll(place.path)
        group.add(place)
        if !isNew, try !File.text(place.path + "/cgroup.procs").isEmpty {
          throw SystemError("cgroup", "\(place.path) has processes in it already", .busy)
        }
        if place.controller == .cpuset { try inheritCPUSet(place.path) }
      }
      let unifiedNames = limits.more(limits.moreUnified).compactMap(\.unifiedName)
      if layout.mode == .unified, let folder = group.unifiedPath {
        let absent = unifiedNames.filter { !File.exists(folder + "/" + probeFile[$0, default: "cgroup.procs"]) }
        if !absent.isEmpty { try enable(absent, above: folder, mountPoint: layout.mountPoint) }
      }
      try group.apply(limits)
    } catch {
      // What is empty goes; the first error is the one to tell.
      if error.errno != .busy { try? group.remove() }
      throw error
    }
    return group
  }

  /// Returns whether it was not there.
  private static func makeAll(_ path: String) throws(SystemError) -> Bool {
    do throws(SystemError) {
      try File.makeDirectory(path)
      return true
    } catch  where error.errno == .exists {
      return false
    } catch  where error.errno == .noEntry {
      guard let parent = File.parent(of: path), parent != "/" else { throw error }
      _ = try makeAll(parent)
      do throws(SystemError) {
        try File.makeDirectory(path)
        return true
      } catch  where error.errno == .exists {
        return false
      }
    }
  }
}
