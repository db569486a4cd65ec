public import SentryIPC

/// Which of what can be had apart (namespaces(7)) a task has; its mounts are its `paths`'.
public struct TaskNamespaces {
  public var names: NameSpace
  public var objects: IPCSpace
  public init(names: NameSpace, objects: IPCSpace) {
    self.names = names
    self.objects = objects
  }
}

/// Names of the machine as some tasks know them (the kernel's `uts_namespace`).
public final class NameSpace {
  public var names: MachineNames
  public init(_ names: MachineNames = MachineNames()) { self.names = names }
}
