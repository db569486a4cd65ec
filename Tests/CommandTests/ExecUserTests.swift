import ChildProcesses
import Foundation
import Testing

/// `exec -u NAME[:GROUP]`: looked up in files that the box's own code wrote, which try everything.
@Suite(.enabled(if: Caller.canBeAnybody, Caller.whyNotAnybody), .timeLimit(.minutes(60)))
struct ExecUserTests {
  /// A box whose /etc is its own to write, and what `exec -u WORD b id -u -g -G` says of each word.
  private func script(_ files: String, _ checks: String) -> String {
    """
    box -d --name b --tmpfs /etc -- sh -c '\(files)
    echo ready; exec sleep $1' sh "$M" > /dev/null || exit 98
    for n in $(seq 2400); do immure logs b | grep -q '^ready$' && break; sleep 0.05; done
    is() { got=$(immure exec -u "$1" b sh -c 'echo $(id -u) $(id -G)' 2>&1); [ "$got" = "$2" ] || echo "failed: $1: $got"; }
    refuses() { got=$(immure exec -u "$1" b id 2>&1) && echo "allowed: $1"; case $got in *"$2"*) ;; *) echo "failed: $1: $got" ;; esac; }
    \(checks)
    echo done
    """
  }

  @Test(arguments: [Caller.root, .user])
  func namesAreLookedUpInTheBox(caller: Caller) throws {
    let station = try Station(caller)
    let result = try station.script(
      script(
        """
        printf "root:x:0:0::/:/bin/sh\\napp:x:1234:2345::/:/bin/sh\\n77:x:0:0::/:/bin/sh\\nbig:x:4294967295:1::/:/bin/sh\\n" > /etc/passwd
        printf "wide:x:1:4294967295::/:/bin/sh\\nplus:x:+0:0::/:/bin/sh\\nneg:x:-1:0::/:/bin/sh\\nshort:x:5\\n:x:0:0::/:\\n" >> /etc/passwd
        printf "root:x:0:\\nextra:x:777:app\\nmore:x:778:other,app\\nnone:x:779:appx\\nhuge:x:4294967295:app\\n" > /etc/group
        """,
        """
        is app "1234 2345 777 778"; is app:extra "1234 777"; is app:0 "1234 0"; is 1234 "1234 2345 777 778"; is 1234:5 "1234 5"
        is 77 "77 0"; is 4321 "4321 0"; is root "0 0"; is :777 "0 777"; is 0:extra "0 777"
        for u in big wide plus neg short +0 -1 0x0 '1 2' nobody; do refuses "$u" "has no such user"; done
        refuses app:huge "has no group"; refuses app:no "has no group"; refuses 4294967295 "at most 2147483647"
        refuses 1:2147483648 "at most 2147483647"; refuses 99999999999999999999 "at most"
        refuses "$(printf 'a\\033[31m')" '\\u{1b}'
        """))
    #expect(result.output == "done\n", "\(result.error.suffix(800))")
    #expect(try station.close() == [])
  }

  /// A passwd that is a link out of the box, a pipe that nobody writes to, or larger than memory should hold is none: names are not
  /// found, numbers still work, and nothing waits.
  @Test(arguments: [
    "ln -s /proc/self/root/etc/passwd /etc/passwd; ln -s /proc/1/root/etc/group /etc/group",
    "mkfifo /etc/passwd /etc/group", "truncate -s 9000000000 /etc/passwd; mkdir /etc/group",
    "ln -s ../../../../../../../tmp/none /etc/passwd", "ln -s /dev/zero /etc/passwd; ln -s group /etc/group", ":",
  ])
  func aHostilePasswdIsNone(files: String) throws {
    let station = try Station(.root)
    let result = try station.script(
      script(
        files,
        "refuses immuretest 'has no such user'; refuses root:root 'has no such user'; is 5 '5 0'; is 5:6 '5 6'"),
      seconds: 120)
    #expect(result.output == "done\n", "\(result.error.suffix(800))")
    #expect(try station.close() == [])
  }
}
