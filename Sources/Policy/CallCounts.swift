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

/// A system call behind a wall with a kernel of its own.
public struct CallEntry: Sendable, Equatable {
  public var number: Int32
  public var name: String
  /// "full", "part", "refused" or "absent".
  public var answer: String
  /// What one that is refused or absent ends with: "EPERM".
  public var error: String?
  /// Who answers: "stub", "sentry", "host", "host after a look", "filter".
  public var servers: [String]
  /// What is answered otherwise than by Linux; empty where nothing is.
  public var difference: String
  public init(
    number: Int32, name: String, answer: String, error: String?, servers: [String], difference: String
  ) {
    self.number = number
    self.name = name
    self.answer = answer
    self.error = error
    self.servers = servers
    self.difference = difference
  }
}
