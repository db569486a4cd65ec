import Confinement
import Linux
import Testing

@Suite struct LandlockTableTests {
  @Test func versionsStandInOrderAndOnlyGrow() {
    for (index, abi) in Landlock.versions.enumerated() {
      #expect(abi.version == index + 1)
      guard index > 0 else { continue }
      let before = Landlock.versions[index - 1]
      #expect(abi.files.isSuperset(of: before.files))
      #expect(abi.ports.isSuperset(of: before.ports))
      #expect(abi.scopes.isSuperset(of: before.scopes))
      #expect(abi.flags.isSuperset(of: before.flags))
    }
    #expect(Landlock.versions.last?.files.contains(.resolveUnix) == true)
  }

  /// The version that first has each right, from landlock(7).
  @Test(arguments: [
    (Landlock.FileRights.makeSymlink, 1), (.refer, 2), (.truncate, 3), (.ioctlDevice, 5), (.resolveUnix, 9),
  ])
  func rightsAppearInTheirVersion(right: Landlock.FileRights, version: Int) {
    #expect(Landlock.versions.first { $0.files.contains(right) }?.version == version)
  }

  @Test(arguments: [(-38, nil), (0, nil), (1, 1), (7, 7), (9, 9), (10, 9), (99, 9)] as [(Int, Int?)])
  func aNewerKernelCountsAsTheNewestKnown(answer: Int, version: Int?) {
    #expect(Landlock.abi(answering: answer)?.version == version)
  }

  @Test func writingGrantsRenamesBetweenFoldersAndNoDevices() {
    #expect(Landlock.FileRights.writing.contains(.refer))
    #expect(Landlock.FileRights.writing.isDisjoint(with: [.makeBlockDevice, .makeCharacterDevice]))
  }

  @Test func whatIsNotHeldIsNamed() throws {
    let all = LandlockRuleset.nothing
    #expect(all.notHeld(by: nil).count == 1)
    let first = try #require(Landlock.abi(answering: 1))
    #expect(all.notHeld(by: first).count == 6)
    let seventh = try #require(Landlock.abi(answering: 7))
    #expect(
      all.notHeld(by: seventh) == [
        "connecting to Unix sockets that have a path: Landlock ABI 9 (Linux 7.1), this kernel has 7"
      ])
    #expect(all.notHeld(by: Landlock.abi(answering: 9)).isEmpty)
    #expect(LandlockRuleset(files: nil).notHeld(by: first).isEmpty)
  }
}
