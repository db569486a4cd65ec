import Foundation
import Testing

/// `cp` with real boxes: where things land, and what a box that runs meanwhile tries against it.
@Suite(.enabled(if: Caller.canBeAnybody, Caller.whyNotAnybody), .timeLimit(.minutes(60)))
struct CopyTests {
  /// Starts a box whose program is `inside`, waits until it has said "ready" in its log, then runs `outside` in a folder $D of the
  /// caller's own. The box's program ends with a long sleep whose argument is the mark.
  private func run(
    _ caller: Caller, wall: String = "container", options: String = "", inside: String, outside: String,
    seconds: Int = 90
  ) throws -> Immure.Result {
    let station = try Station(caller)
    let result = try station.script(
      """
      D=$R/work; mkdir $D && cd $D || exit 99
      cat > inside <<'INSIDE'
      \(inside)
      echo ready
      exec sleep $1
      INSIDE
      box -d --name b \(options) -- sh -c "$(cat inside)" sh "$M" > /dev/null || exit 98
      rm inside
      for n in $(seq 2400); do immure logs b | grep -q '^ready$' && break; sleep 0.05; done
      fail() { echo "failed: $*"; exit 1; }
      \(outside)
      echo done
      """, wall: wall, seconds: seconds)
    let left = try station.close()
    #expect(left.isEmpty, "\(left)")
    return result
  }

  /// Files, folders and streams go in and out of a box that runs and one that is paused; inside they are its root's, here the caller's.
  @Test(arguments: Caller.allCases, ["container", "sentry"])
  func filesGoInAndOut(caller: Caller, wall: String) throws {
    // Where the sentry is stopped with its guests, nobody hands files out.
    let paused =
      wall == "sentry"
      ? "immure cp two b:/tmp/two 2>err && fail paused; grep -q 'sandbox b is paused' err || fail words"
      : "immure cp two b:/tmp/two && immure cp b:/tmp/two three && [ \"$(cat three)\" = two ] || fail paused"
    expectDone(
      try run(
        caller, wall: wall,
        inside:
          "mkdir -p /tmp/t/in; echo one > /tmp/t/in/f; chmod 640 /tmp/t/in/f; ln -s in/f /tmp/t/l; touch -d @1000000 /tmp/t/in/f",
        outside: """
          immure cp b:/tmp/t out && [ "$(cat out/in/f)" = one ] && [ "$(readlink out/l)" = in/f ] || fail out
          [ "$(stat -c '%a %Y %u' out/in/f)" = "640 1000000 $(id -u)" ] || fail "metadata $(stat -c '%a %Y %u' out/in/f)"
          immure cp out b:/tmp/back || fail in
          [ "$(immure exec b stat -c '%a %u %g' /tmp/back/in/f)" = "640 0 0" ] || fail "inside $(immure exec b ls -lnR /tmp/back)"
          immure cp b:tmp/t/in/f - | tar tf - | grep -qx f || fail stream out
          tar cf - out | immure cp - b:/tmp/back && immure exec b cat /tmp/back/out/in/f | grep -qx one || fail stream in
          immure cp -L b:/tmp/t/l got && [ "$(cat got)" = one ] || fail follow
          immure cp b:/tmp/t/. here 2>&1 && [ "$(cat here/in/f)" = one ] || fail contents
          echo two > two
          if immure pause b >/dev/null 2>&1; then
            \(paused)
            immure resume b > /dev/null
          fi
          immure cp two b:/none/x 2>err && fail no folder; grep -q 'the folder /none is not there' err || fail words "$(cat err)"
          immure cp b:/nowhere x 2>err && fail absent; grep -q '/nowhere: No such file' err || fail words "$(cat err)"
          immure cp two three 2>err && fail host; grep -q 'neither place is in a sandbox' err || fail words "$(cat err)"
          immure cp b:/a b:/b 2>err && fail both; grep -q 'both in sandboxes' err || fail words "$(cat err)"
          immure cp two gone:/a 2>err && fail gone
          [ -z "$(find . -name '.immure*')" ] || fail leftovers
          [ -z "$(immure exec b find /tmp -name '.immure*')" ] || fail leftovers inside
          """))
  }

  /// A jail that root built has a root of its own; one without has this machine's paths, so there is nothing to copy.
  @Test(arguments: Caller.allCases)
  func aJailCopiesWhereItHasARoot(caller: Caller) throws {
    let outside =
      caller == .root
      ? """
      immure cp b:/tmp/t out && [ "$(cat out/f)" = one ] || fail out
      immure cp out b:/tmp/back && immure cp b:/tmp/back/f again && [ "$(cat again)" = one ] || fail in
      immure cp b:/proc/self/root/etc/passwd x 2>/dev/null && fail magic
      """
      : "immure cp b:/tmp/t out 2>err && fail allowed; grep -q \"this machine's own\" err || fail words"
    expectDone(
      try run(caller, wall: "jail", inside: "mkdir -p /tmp/t 2>/dev/null; echo one > /tmp/t/f", outside: outside))
  }

  /// What in a tree blocks, lies, never ends or means something to the host: pipes and devices are never opened, procfs is not read,
  /// holes stay holes, a file that grows is as long as it was, and set-user-id stays inside unless root asks for it.
  @Test(arguments: [Caller.root, .user])
  func strangeFilesAreHarmless(caller: Caller) throws {
    let caps = caller == .root ? "-a" : ""
    expectDone(
      try run(
        caller, options: "--file-size 4t",
        inside: """
          mkdir /tmp/t; cd /tmp/t; mkfifo pipe; truncate -s 900G huge; printf x >> huge; truncate -s 2T huger
          printf x > suid; chmod 6755 suid; ln -s /proc/self/root/etc/passwd magic; ln -s /proc/1/cwd cwd; ln -s ../../../../../../etc up
          printf x > "$(printf 'new\\nline\\033[31mred')"; : > grows; (while :; do echo more >> grows; done) &
          mkdir -p deep; (cd deep; for n in $(seq 300); do mkdir dddddddddddddddd 2>/dev/null && cd dddddddddddddddd || break; done)
          cp -l suid hard
          """,
        outside: """
          immure cp b:/tmp/t out 2>err; [ $? = 1 ] || fail status
          grep -q 'left out: .*pipe is a pipe' err || fail "pipe: $(cat err)"
          grep -q 'not whole: .* and 1 more' err || fail "too large, too deep: $(cat err)"
          [ "$(wc -l < err)" -le 3 ] && ! grep -q "$(printf '\\033')" err || fail "raw: $(cat -v err)"
          [ ! -e out/pipe ] && [ ! -e out/huger ] && [ "$(stat -c %s out/huge)" = 966367641601 ] || fail large
          [ "$(du -k out/huge | cut -f1)" -lt 2000 ] || fail holes
          [ "$(stat -c '%a %h' out/suid)" = "755 2" ] || fail "set-user-id $(stat -c '%a %h' out/suid)"
          [ "$(readlink out/magic) $(readlink out/cwd) $(readlink out/up)" = "/proc/self/root/etc/passwd /proc/1/cwd ../../../../../../etc" ] || fail links
          [ -e "$(printf 'out/new\\nline\\033[31mred')" ] || fail names
          rm -rf out
          for p in /tmp/t/magic/x /tmp/t/cwd/x /proc/1/environ /proc/self/mem /dev/null /tmp/t/pipe /sys/kernel/notes; do
            immure cp b:$p got 2>err && fail "$p: $(ls -l got)"; [ ! -e got ] || fail "$p made something"
          done
          immure cp -L b:/tmp/t/magic got 2>err && fail "a magic link was followed"
          immure cp b:/tmp/t/up/hostname got && immure exec b cat /etc/hostname | cmp - got && rm got || fail "not the box's own /etc"
          immure cp b:/tmp/t/up/../../../../etc/passwd got && immure exec b cat /etc/passwd | cmp - got || fail "not the box's own passwd"
          echo x > mine
          immure cp mine b:/dev/null 2>err && fail device; immure exec b test -c /dev/null || fail "the device is gone"
          ln -s /etc/hostname link; immure cp b:/tmp/t/suid link 2>err && fail "wrote through a link"
          mkfifo fifo; immure cp b:/tmp/t/suid fifo 2>err && fail "wrote into a pipe"
          immure cp \(caps) b:/tmp/t/suid kept && [ "$(stat -c %a kept)" = \(caller == .root ? "6755" : "755") ] || fail "archive $(stat -c %a kept)"
          """))
  }

  /// Attributes go in and out. With -a also capabilities and ACLs, whose ids are the box's inside and the box's range of the host's
  /// outside: seen from the host, a box's capability is worth nothing without the box's root. Without -a nothing that gives power comes
  /// to the host, whatever the box put on its files.
  @Test(arguments: [Caller.root, .user])
  func attributesComeAlongWithTheirIds(caller: Caller) throws {
    let setsCapabilities = caller == .root
    expectDone(
      try run(
        caller, inside: "mkdir /tmp/t",
        outside: """
          cat > x.py <<'P'
          import os, struct, sys
          NONE = 0xffffffff
          LIST = struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *e) for e in
            ((1, 6, NONE), (2, 7, 0), (4, 0, NONE), (16, 7, NONE), (32, 0, NONE)))
          CAPS = struct.pack('<IIIII', 0x02000001, 1 << 10, 0, 0, 0)
          def tell(path):
              told = []
              for name in sorted(os.listxattr(path)):
                  value = os.getxattr(path, name)
                  if name == 'system.posix_acl_access': value = b'user %d' % struct.unpack_from('<I', value, 4 + 8 + 4)
                  if name == 'security.capability': value = b'%d bytes' % len(value)
                  told.append(name + '=' + value.decode('latin-1'))
              print(','.join(told))
          if sys.argv[1] == 'tell': tell(sys.argv[2])
          else:
              open(sys.argv[2], 'w').write('x')
              os.setxattr(sys.argv[2], 'user.mine', b'yes')
              os.setxattr(sys.argv[2], 'system.posix_acl_access', LIST)
              if sys.argv[1] == 'caps': os.setxattr(sys.argv[2], 'security.capability', CAPS)
          P
          python3 x.py \(setsCapabilities ? "caps" : "list") f || fail set
          immure cp x.py b:/tmp/x.py && immure cp f b:/tmp/t/plain && immure cp \(setsCapabilities ? "-a" : "") f b:/tmp/t/all || fail in
          tell() { immure exec b python3 /tmp/x.py tell $1; }
          [ "$(tell /tmp/t/plain)" = user.mine=yes ] || fail "plain: $(tell /tmp/t/plain)"
          immure exec b python3 /tmp/x.py list /tmp/t/own || fail own
          immure cp b:/tmp/t/own own && [ "$(python3 x.py tell own) $(stat -c %a own)" = 'user.mine=yes 600' ] || fail "own: $(python3 x.py tell own)"
          [ \(setsCapabilities ? 1 : 0) = 0 ] && echo done && exit 0
          [ "$(tell /tmp/t/all)" = 'security.capability=20 bytes,system.posix_acl_access=user 0,user.mine=yes' ] || fail "all: $(tell /tmp/t/all)"
          pid=$(immure inspect b | python3 -c 'import json,sys; d=json.load(sys.stdin); d=d[0] if isinstance(d,list) else d; print(d["pid"])')
          base=$(awk 'NR == 1 { print $2 }' /proc/$pid/uid_map)
          [ "$base" -gt 0 ] || fail "no range: $base"
          [ "$(python3 x.py tell /proc/$pid/root/tmp/t/all)" = "security.capability=24 bytes,system.posix_acl_access=user $base,user.mine=yes" ] || fail "from the host: $(python3 x.py tell /proc/$pid/root/tmp/t/all)"
          immure cp b:/tmp/t/all out && [ "$(python3 x.py tell out) $(stat -c %a out)" = 'user.mine=yes 600' ] || fail "out: $(python3 x.py tell out)"
          immure cp -a b:/tmp/t/all kept && [ "$(python3 x.py tell kept)" = 'security.capability=20 bytes,system.posix_acl_access=user 0,user.mine=yes' ] || fail "kept: $(python3 x.py tell kept)"
          immure cp b:/tmp/t/all - | python3 -c '
          import sys, tarfile
          t = tarfile.open(fileobj=sys.stdin.buffer, mode="r|")
          print(sorted(k for m in t for k in m.pax_headers if k.startswith("SCHILY")))' > names
          grep -q "SCHILY.xattr.security.capability.*SCHILY.xattr.user.mine" names || fail "stream: $(cat names)"
          immure cp b:/tmp/t/all - | immure cp -a - b:/tmp/t/../t && [ "$(tell /tmp/t/all)" = 'security.capability=20 bytes,system.posix_acl_access=user 0,user.mine=yes' ] || fail back
          """))
  }

  /// The box flips folders and links under the feet of copies in both directions, for as long as they take: a link to the box's /etc, to
  /// /proc/1/root and out of it by `..`. Neither the host's nor the box's own /etc is ever read or written through it.
  @Test(arguments: [Caller.root, .user])
  func aBoxThatFlipsLinksGetsNowhere(caller: Caller) throws {
    expectDone(
      try run(
        caller,
        inside: """
          mkdir -p /tmp/t/sub /tmp/w/t/sub /tmp/safe; echo secret > /tmp/safe/secret; echo fine > /tmp/t/sub/fine
          cat > /tmp/flip <<'FLIP'
          cd $1 || exit; ln -s $2 evil
          while :; do mv -T sub aside; mv -T evil sub; mv -T sub evil; mv -T aside sub; done 2>/dev/null
          FLIP
          command -v python3 > /dev/null && cat > /tmp/flip.py <<'FLIP'
          import os, sys
          os.chdir(sys.argv[1]); os.symlink(sys.argv[2], 'evil')
          while True:
              try:
                  os.rename('sub', 'aside'); os.rename('evil', 'sub'); os.rename('sub', 'evil'); os.rename('aside', 'sub')
              except OSError:
                  for a, b in (('aside', 'sub'),):
                      try: os.rename(a, b)
                      except OSError: pass
          FLIP
          flip() { if [ -e /tmp/flip.py ]; then python3 /tmp/flip.py "$@"; else sh /tmp/flip "$@"; fi; }
          flip /tmp/t /tmp/safe & flip /tmp/w/t ../../safe &
          """,
        outside: """
          mkdir -p t/sub; echo evil > t/sub/secret; echo evil > t/sub/new-evil
          n=0; while [ $n -lt 150 ]; do n=$((n + 1))
            rm -rf out; immure cp -q b:/tmp/t out 2>/dev/null
            [ ! -e out/sub/secret ] || [ -L out/sub ] || fail "read through the link in round $n"
            immure cp -q t b:/tmp/w 2>/dev/null
          done
          [ "$(immure exec b ls /tmp/safe)" = secret ] || fail "written through the link: $(immure exec b ls /tmp/safe)"
          [ "$(immure exec b cat /tmp/safe/secret)" = secret ] || fail "overwritten through the link"
          """, seconds: 120))
  }

  /// A full disk ends the copy, says so, and leaves no half file behind; a stream that is cut says what is incomplete.
  @Test(arguments: [Caller.root, .user])
  func whatIsIncompleteIsSaid(caller: Caller) throws {
    expectDone(
      try run(
        caller, options: "--tmpfs /small:size=1m", inside: "mkdir -p /tmp/t",
        outside: """
          mkdir big; echo a > big/a; head -c 4000000 /dev/zero | tr '\\0' x > big/b
          immure cp big b:/small/big 2>err && fail "it fitted"
          grep -q 'No space left' err && grep -q 'b:/small/big is incomplete' err || fail "words: $(cat err)"
          [ -z "$(immure exec b find /small -name '.immure*')" ] && [ -z "$(immure exec b find /small -size +1k -type f)" ] || fail half
          tar cf - big | head -c 100000 | immure cp - b:/tmp/t 2>err && fail cut
          grep -q 'cut short' err && grep -q 'b:/tmp/t is incomplete' err || fail "words: $(cat err)"
          [ -z "$(immure exec b find /tmp/t -name '.immure*')" ] && immure exec b test ! -e /tmp/t/big/b || fail half
          """))
  }
}
