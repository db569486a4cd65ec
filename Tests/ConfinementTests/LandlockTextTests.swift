import Confinement
import Formats
import Linux
import Testing

/// Landlock rules from an annotation.
@Suite struct LandlockTextTests {
  @Test func wordsBecomeGrants() throws {
    let rules = try LandlockRuleset(text: "read=/usr,write=/tmp\nconnect=443,bind=none,scope=signals,scope=abstract")
    #expect(
      rules.files == [
        LandlockRuleset.FileGrant(.path("/usr", optional: false), .reading),
        LandlockRuleset.FileGrant(.path("/tmp", optional: false), .reading.union(.writing)),
      ])
    #expect(rules.ports == [LandlockRuleset.PortGrant(443, .connectTCP)])
    #expect(rules.scopes == [.signals, .abstractSockets])
    let portsOnly = try LandlockRuleset(text: "connect=none")
    #expect(portsOnly.files == nil && portsOnly.ports == [] && portsOnly.scopes.isEmpty)
  }

  @Test(arguments: ["", "read", "read=usr", "connect=0", "connect=65536", "scope=all", "run=/x", "read=/usr;x=/y,z"])
  func whatIsNoRuleIsRefusedByName(text: String) throws {
    let error = #expect(throws: FormatError.self) { try LandlockRuleset(text: text) }
    #expect(error?.description.contains("dev.immure.landlock") == true)
  }

  @Test func anOldKernelIsTold() throws {
    let rules = try LandlockRuleset(text: "read=/,connect=443,scope=signals")
    #expect(rules.textNotHeld(by: nil).count == 1)
    let first = try #require(Landlock.versions.first { $0.version == 1 })
    #expect(rules.textNotHeld(by: first).count == 3)
    if let last = Landlock.versions.last { #expect(rules.textNotHeld(by: last).isEmpty) }
  }
}
