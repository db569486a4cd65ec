import Foundation
import Testing

/// `image mount`: an image's files at a path, as a mount and as a copy, and what keeps the image meanwhile.
@Suite(
  .enabled(if: FrontCommand.isBuilt && FrontCommand.isRoot, FrontCommand.whyNot),
  .enabled(if: FrontCommand.has("busybox", "python3", "unshare"), "wants busybox, python3 and unshare"),
  .whileTheSuiteRuns)
struct ImageViewTests {
  let front = FrontCommand()

  /// Pulls the image of Fixtures/merged.py, in which everything that layers can do to each other is done, as img:1. All mounts are made in
  /// a namespace of the test's own, which ends with it.
  private func prepare() throws {
    try front.shell("python3 '\(Server.fixture("merged.py"))' img > /dev/null")
    try #require(try front("pull", "-q", "oci:\(front.scratch.path)/img:1").status == 0)
  }

  /// Runs a script in one mount namespace, with `front` for the command and `show PATH` for all that a tree has.
  private func script(_ text: String) throws -> String {
    try front.shell(
      """
      cat > script.sh <<'END'
      set -eu
      front() { '\(FrontCommand.path)' --root '\(front.root)' "$@"; }
      store='\(front.store)'
      show() {
        (cd "$1" && find . -printf '%P %y %m %U %G %s %n %l %Ts\\n' | sed 's/^\\([^ ]* d [0-7]* [0-9]* [0-9]*\\) [0-9]* [0-9]*/\\1/' | sort
          find . -type f -print0 | sort -z | xargs -0 sha256sum)
      }
      \(text)
      END
      unshare -m --propagation private bash script.sh
      """)
  }

  @Test func aMountAndACopyShowTheSame() throws {
    try prepare()
    let said = try script(
      """
      copy=$(IMMURE_IMAGE_MOUNT=unpack front image mount img:1)
      show "$copy" > copied
      echo mine > "$copy/mine"
      front image mount | grep -c ' copy '
      front image unmount img:1 > /dev/null
      path=$(front image mount img:1)
      front image mount | grep -Ec ' (mount|copy) '
      show "$path" > mounted
      diff copied mounted && echo same; wc -l < mounted
      """
    ).split(separator: "\n")
    #expect(said.prefix(3) == ["1", "1", "same"], "\(said)")
    #expect(Int(said.last ?? "") ?? 0 > 80)
  }

  @Test func nothingIsWrittenOrRun() throws {
    try prepare()
    let said = try script(
      """
      path=$(front image mount img:1)
      [ "$(stat -f -c %T "$path")" = erofs ] || { echo not mounted here; exit 0; }
      touch "$path/x" 2>&1 | grep -o 'Read-only file system' || :
      "$path/bin/busybox" true 2>&1 | grep -o 'Permission denied' || :
      grep -F "$path" /proc/self/mountinfo | grep -o ' ro,nosuid,nodev,noexec,'
      """)
    #expect(
      said == "Read-only file system\nPermission denied\n ro,nosuid,nodev,noexec,\n" || said == "not mounted here\n",
      "\(said)")
  }

  /// Removing, collecting and checking leave an image alone while somebody looks into it.
  @Test(arguments: ["", "unpack"]) func keepsItsImage(_ rung: String) throws {
    try prepare()
    let said = try script(
      """
      export IMMURE_IMAGE_MOUNT=\(rung)
      path=$(front image mount -q img:1)
      [ "$(front image mount -q img:1)" = "$path" ] && echo the same path
      front rmi img:1 2>&1 | grep -o 'is mounted: .immure image unmount img:1. first' || :
      front image prune -a -f
      front rmi -f img:1
      front image prune -f
      ls "$path/bin" | grep -cx busybox
      front image fsck | grep -o whole
      front image unmount "$path"
      front image prune -f | grep -c 'deleted layer'
      front image mount | wc -l
      for folder in layers merged names views blobs/sha256 incoming locks; do ls $store/$folder; done
      """)
    #expect(
      said == """
        the same path
        is mounted: `immure image unmount img:1` first
        reclaimed 0 B
        removed img:1
        reclaimed 0 B
        1
        whole
        unmounted img:1
        4
        1

        """)
  }

  /// What a reboot leaves is a folder in which nothing is mounted.
  @Test func aMountThatIsGoneIsNoView() throws {
    try prepare()
    let said = try script(
      """
      path=$(front image mount -q img:1)
      [ "$(stat -f -c %T "$path")" = erofs ] || { echo not mounted here; exit 0; }
      umount "$path" && front image mount | wc -l && ls $store/views | wc -l
      again=$(front image mount -q img:1); [ "$again" = "$path" ]; ls "$path" | grep -cx bin
      umount "$path" && front rmi img:1 | grep -c layer; ls $store/views $store/layers $store/incoming | grep -v : | tr -d '\\n'
      front image unmount img:1 2>&1 | grep -o 'no image "img:1" is mounted' || :
      """)
    #expect(said == "1\n0\n1\n4\nno image \"img:1\" is mounted\n" || said == "not mounted here\n", "\(said)")
  }

  @Test func twoAtOnceMakeOne() throws {
    try prepare()
    let said = try script(
      """
      for n in 1 2 3 4 5 6; do front image mount -q img:1 > out.$n & done; wait
      sort -u out.* | wc -l; grep -c "$store/views" /proc/self/mountinfo || :
      front image unmount -a; grep -c "$store/views" /proc/self/mountinfo || :
      """)
    #expect(said == "1\n1\nunmounted img:1\n0\n" || said == "1\n0\nunmounted img:1\n0\n", "\(said)")
  }

  @Test func whatMakesNoSenseIsRefused() throws {
    try prepare()
    #expect(try front("image", "mount", "other:1").error.contains("there is no image \"other:1\" here"))
    #expect(try front("image", "unmount").error.contains("wants images, or --all"))
    #expect(try front("image", "unmount", "--all", "img:1").status == 1)
    #expect(try front("image", "unmount", "--all").status == 0)
  }
}
