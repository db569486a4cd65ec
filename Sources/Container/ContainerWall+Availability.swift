import Linux
public import Policy
public import Walls

extension ContainerWall {
  public func availability(on host: Host) -> Availability { .ready(notes: []) }
  public func enforcement(of rule: Rule, on host: Host) -> Enforcement { .enforced("x") }
}
