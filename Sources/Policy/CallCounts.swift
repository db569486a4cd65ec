/// Who answers the code's system calls behind a wall with a kernel of its own.
public struct CallCounts: Sendable, Equatable {
  /// One deed of the host's kernel, and the calls that ask for it.
  public struct Kind: Sendable, Equatable {
    public var name: String
    public var calls: [String]
    public init(name: String, calls: [String]) {
      self.name = name
      self.calls = calls
    }
  }
  public var policy: SystemCallRule
  /// What the host's kernel performs unasked.
  public var native: [String]
  /// What it performs after the wall's kernel has looked.
  public var continued: [Kind]
  /// How many the wall's kernel answers by itself.
  public var served: Int
  public init(policy: SystemCallRule, native: [String], continued: [Kind], served: Int) {
    self.policy = policy
    self.native = native
    self.continued = continued
    self.served = served
  }

  /// One line, with its end.
  var text: String {
    let calls = Set(continued.flatMap(\.calls)).count
    return
      "system calls, \(policy.rawValue): \(native.count) allowed natively, \(continued.count) kinds (\(calls) calls) continued "
      + "after a decision, \(served) served\n"
  }
}
