import SentryABI
import Testing

@Suite("Credentials")
struct CredentialTests {
  static func root() -> Credentials {
    var root = Credentials()
    root.permitted = Capability.all
    root.effective = Capability.all
    root.bounding = Capability.all
    return root
  }

  @Test("who gives root up loses its capabilities, for good or for a time")
  func drop() {
    var hasChanged = false
    var one = Self.root()
    hasChanged = one.setUsers(real: .max, effective: 1000, saved: .max)
    #expect(hasChanged)
    #expect(one.effective == 0 && one.permitted == Capability.all && one.fileUser == 1000)
    hasChanged = one.setUsers(real: .max, effective: 0, saved: .max)
    #expect(hasChanged)
    #expect(one.effective == Capability.all)
    hasChanged = one.setUser(1000)
    #expect(hasChanged)
    #expect(one.permitted == 0 && one.effective == 0 && one.savedUser == 1000)
    let isRoot = one.setUser(0)
    #expect(!isRoot && one.user == 1000)
    hasChanged = one.setUsers(real: 0, effective: .max)
    #expect(!hasChanged)
  }

  @Test("SECBIT_KEEP_CAPS keeps the permitted set, SECBIT_NO_SETUID_FIXUP all")
  func kept() {
    var hasChanged = false
    var keeps = Self.root()
    keeps.securebits = SecureBits.keepCapabilities
    hasChanged = keeps.setUser(1000)
    #expect(hasChanged)
    #expect(keeps.permitted == Capability.all && keeps.effective == 0)
    var fixed = Self.root()
    fixed.securebits = SecureBits.noSetUserFixup
    hasChanged = fixed.setUser(1000)
    #expect(hasChanged)
    #expect(fixed.effective == Capability.all)
  }

  @Test("execve: root's sets, a set-user-id file's, and nobody's")
  func exec() {
    var root = Self.root()
    root.bounding = 7
    root.exec(setUser: nil, setGroup: nil)
    #expect(root.permitted == 7 && root.effective == 7)
    var user = Self.root()
    _ = user.setUser(1000)
    user.exec(setUser: nil, setGroup: nil)
    #expect(user.permitted == 0 && user.effective == 0)
    user.exec(setUser: 0, setGroup: 3)
    #expect(user.effectiveUser == 0 && user.savedUser == 0 && user.user == 1000 && user.effective == Capability.all)
    #expect(user.effectiveGroup == 3 && user.fileGroup == 3)
  }

  @Test("execve: a file's capabilities")
  func fileCapabilities() throws {
    let (version, raw, time): (UInt8, UInt64, UInt64) = (2, 1 << 13, 1 << 25)
    let bytes: [UInt8] = [1, 0, 0, version, 0, 0x20, 0, 2] + [UInt8](repeating: 0, count: 12)
    let file = try #require(FileCapabilities(bytes))
    #expect(file.permitted == raw | time && file.inheritable == 0 && file.isEffective)
    #expect(FileCapabilities(Array(bytes.dropLast())) == nil && FileCapabilities([1, 0, 0, 1]) == nil)
    var user = Self.root()
    _ = user.setUser(1000)
    user.exec(setUser: nil, setGroup: nil, capabilities: file)
    #expect(user.permitted == raw | time && user.effective == raw | time && user.areSecure)
    // What the bounding set has not, nobody gets; a file that must have it is not executed.
    var bound = Self.root()
    _ = bound.setUser(1000)
    bound.bounding = raw
    let isPossible = bound.exec(setUser: nil, setGroup: nil, capabilities: file)
    #expect(!isPossible)
    let asked = try #require(FileCapabilities([0] + bytes.dropFirst()))
    var some = Self.root()
    _ = some.setUser(1000)
    some.bounding = raw
    some.exec(setUser: nil, setGroup: nil, capabilities: asked)
    #expect(some.permitted == raw && some.effective == 0)
    // Root has all in any case.
    var root = Self.root()
    root.exec(setUser: nil, setGroup: nil, capabilities: asked)
    #expect(root.effective == root.bounding && !root.areSecure)
  }

  @Test("setfsuid tells the old one and moves the file capabilities")
  func fileUser() {
    var root = Self.root()
    root.setFileUser(1000)
    #expect(root.fileUser == 1000 && !root.has(Capability.overrideAccess) && root.has(Capability.kill))
    root.setFileUser(0)
    #expect(root.has(Capability.overrideAccess))
  }
}
