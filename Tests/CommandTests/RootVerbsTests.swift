import ChildProcesses
import Foundation
import Testing

/// `diff`, `commit` and `export` with real boxes of an image that has everything an image can have (Fixtures/merged.py), and what a box that
/// does its worst can do to them; `system df` and `image prune` beside living boxes.
@Suite(
  .enabled(if: Caller.canBeAnybody && Immure.hasFront, Caller.whyNotAnybody),
  .enabled(
    if: FileManager.default.isExecutableFile(atPath: "/bin/busybox")
      && FileManager.default.isExecutableFile(atPath: "/usr/bin/python3"), "wants busybox and python3 to make an image"),
  .timeLimit(.minutes(60)))
struct RootVerbsTests {
  /// Runs `text` as the caller, in a folder $D of his own, with the image $I in the store. `look BOX` prints everything that can be
  /// seen of every file inside.
  private func run(_ caller: Caller, _ text: String, seconds: Int = 90) throws -> Immure.Result {
    let station = try Station(caller)
    #expect(Caller.hasFrontBeside)
    let fixture =
      URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
      + "/Fixtures/merged.py"
    let made = try Immure.command([
      "sh", "-c", "python3 \(fixture) \(station.root)/image && chmod -R a+rX \(station.root)/image",
    ])
    try #require(made.status == 0, "\(made.error)")
    let result = try station.script(
      """
      D=$R/work; mkdir $D && cd $D || exit 99
      fail() { echo "failed: $*"; exit 1; }
      waitfor() { for n in $(seq 2400); do immure logs $1 | grep -q '^ready$' && return; sleep 0.05; done; fail "$1 is not ready: $(immure logs $1)"; }
      immure pull -q oci:$R/image:1 > /dev/null || exit 98
      I=image:1
      cat > look.sh <<'LOOK'
      cd /; find . -xdev | sort | while IFS= read -r f; do
      case $f in .|./etc|./etc/host*|./etc/resolv*|./dev|./tmp|./proc|./sys) continue;; esac
      if [ -d "$f" ] && [ ! -L "$f" ]; then stat -c '%n %f %u %g %Y' "$f"
      else stat -c '%n %f %u %g %s %Y %h %t:%T %N' "$f"; [ -f "$f" ] && [ ! -L "$f" ] && md5sum < "$f"; fi; done 2> /dev/null
      LOOK
      look() { immure exec $1 sh -c "$(cat look.sh)"; }
      \(text)
      echo done
      """, seconds: seconds)
    let left = try station.close()
    #expect(left.isEmpty, "\(left)")
    return result
  }

  /// A box that did nothing differs in nothing, whatever its image holds (whiteouts, opaque folders, setuid, capabilities, hard links) and
  /// whatever was mounted into it; an image that nothing was added to has no further layer.
  @Test(arguments: [(Caller.root, ""), (.root, "--userns host"), (.root, "-v $D:/srv/given"), (.user, "")])
  func anIdleBoxHasNoDiff(caller: Caller, options: String) throws {
    expectDone(
      try run(
        caller,
        """
        box -d --name b \(options) $I sleep $M > /dev/null || fail run
        immure diff b > out || fail diff
        [ -z "$(grep -v '^A /srv' out)" ] || fail "$(cat out)"
        immure diff --format json b | python3 -c 'import json, sys; json.load(sys.stdin)' || fail json
        [ -n '\(options.hasPrefix("-v") ? "v" : "")' ] && exit 0
        immure commit -q b same:1 > /dev/null || fail commit
        immure history --format json same:1 | python3 -c '
        import json, sys
        steps = json.load(sys.stdin)
        assert steps[0]["emptyLayer"] and steps[0]["createdBy"].startswith("sleep"), steps
        assert sum(not s["emptyLayer"] for s in steps) == 4, steps' || fail history
        """.replacingOccurrences(of: "&& exit 0", with: "&& { echo done; exit 0; }")))
  }

  /// Each kind of change, names that no terminal should see, and changes that hide: the same size and the same time. What was changed back is
  /// no change.
  @Test(arguments: [Caller.root, .user]) func changesAreListed(caller: Caller) throws {
    expectDone(
      try run(
        caller,
        """
        cat > inside <<'INSIDE'
        mkdir -p /w/one /w/two /w/gone/deep && echo abc > /w/hidden && echo same > /w/back && echo x > /w/one/f && touch /w/gone/deep/f
        echo ready; read go
        INSIDE
        box -d --name a $I sh -c "$(cat inside); sleep $M" > /dev/null; waitfor a
        immure commit -q a start:1 > /dev/null || fail commit
        cat > inside <<'INSIDE'
        touch -r /w/hidden /ref; echo abd > /w/hidden; touch -r /ref /w/hidden; rm /ref
        chmod 600 /w/back; chmod 644 /w/back
        rm -r /w/gone; rm /w/one/f; mkdir /w/one/f; echo y > /w/one/f/g; chmod 700 /w/two
        printf x > "$(printf '/new\\nline\\033[31m')"; ln -s /etc/shadow /link; mkfifo /pipe; touch /.wh.w
        echo ready
        INSIDE
        box -d --name b start:1 sh -c "$(cat inside); sleep $M" > /dev/null; waitfor b
        immure diff b > out || fail diff
        cat > expected <<'END'
        A /.wh.w
        A /link
        A /new\\nline\\u{1b}[31m
        A /pipe
        C /w
        D /w/gone
        C /w/hidden
        C /w/one
        C /w/one/f
        A /w/one/f/g
        C /w/two
        END
        diff expected out > difference || fail "$(cat difference)"
        immure diff --format json b | python3 -c '
        import json, sys
        found = {(c["kind"], c["path"]) for c in json.load(sys.stdin)}
        assert ("added", "/new\\nline\\x1b[31m") in found and ("deleted", "/w/gone") in found, found' || fail json
        """))
  }

  /// A box of the new image sees what the old box saw, to the last attribute; only the difference is stored; others read it too.
  @Test(arguments: [(Caller.root, ""), (.root, "--userns host"), (.user, "")])
  func aCommittedImageIsWhatTheBoxWas(caller: Caller, options: String) throws {
    expectDone(
      try run(
        caller,
        """
        cat > inside <<'INSIDE'
        mkdir -p /n/a/b && echo one > /n/a/b/f && ln /n/a/b/f /n/second && ln -s ../f /n/a/l && mkfifo /n/p
        chmod 4755 /n/a/b/f; chown 7:8 /n/a; truncate -s 5M /n/holes; echo end >> /n/holes; touch -d @1000000 /n/second
        ls -d /* | while read f; do [ -f $f ] && echo more >> $f; done
        for f in /links /merged /opaque; do [ -d $f ] && rm -r $f && mkdir $f && touch $f/x; done
        echo ready
        INSIDE
        box -d --name b \(options) $I sh -c "$(cat inside); sleep $M" > /dev/null || fail run
        waitfor b; look b > before
        [ $(wc -l < before) -gt 20 ] || fail "$(cat before)"
        immure commit -q -m 'a remark' -a me -c 'CMD ["sh", "-c", "sleep '$M'"]' -c 'ENV WORD="two words" X=1' -c 'LABEL k=v' b made/it:2 > id || fail commit
        [ "$(immure ps --format json | grep -c '"running"')" = 1 ] || fail "still paused"
        box -d --name c \(options) made/it:2 > /dev/null || fail "run of it"
        look c > after
        diff before after > difference || fail "$(cat difference)"
        immure exec c sh -c 'echo $WORD $X' | grep -qx 'two words 1' || fail environment
        [ -z "$(immure diff c)" ] || fail "$(immure diff c)"
        immure history --format json made/it:2 | python3 -c '
        import json, sys
        step = json.load(sys.stdin)[0]
        assert step["comment"] == "a remark" and step["author"] == "me" and step["layer"], step
        # Three of the five megabytes are no bytes of the layer.
        assert step["size"] < 6000000, step' || fail history
        immure history -q made/it:2 | sed -n 1p | grep -q '^sha256:' || fail quiet
        immure save -q --format oci-archive -o made.tar made/it:2 || fail save
        if command -v skopeo > /dev/null && [ '\(caller.rawValue)' = root ]; then
          skopeo copy -q oci-archive:made.tar oci:layout:2 || fail skopeo
          skopeo inspect oci:layout:2 | grep -q '"k": "v"' || fail label
          umoci unpack --image layout:2 bundle > /dev/null || fail umoci
          [ "$(stat -c '%a %u %h' bundle/rootfs/n/a/b/f)" = "4755 0 2" ] || fail "umoci: $(stat -c '%a %u %h' bundle/rootfs/n/a/b/f)"
          [ "$(ls -A bundle/rootfs/opaque 2>/dev/null || echo x)" = x ] || fail "umoci: $(ls -A bundle/rootfs/opaque)"
        fi
        """))
  }

  /// The archive holds all files once, and an image of it shows the same ones.
  @Test(arguments: [Caller.root, .user]) func anExportComesBackAsAnImage(caller: Caller) throws {
    expectDone(
      try run(
        caller,
        """
        box -d --name b $I sh -c "echo mine > /mine; ln /mine /second; echo ready; sleep $M" > /dev/null || fail run
        waitfor b; look b > before
        immure export -o root.tar b || fail export
        [ -z "$(ls -A | grep immure-)" ] || fail leftovers
        immure export b > again.tar && cmp root.tar again.tar || fail same
        tar -tf root.tar | sort | uniq -d | grep . && fail twice
        tar -tf root.tar | grep -q '^proc/.' && fail proc
        immure pause b > /dev/null 2>&1 && { immure export b | cmp - root.tar || fail paused; immure resume b > /dev/null; }
        immure import -q --cmd sh root.tar back > /dev/null || fail import
        box -d --name c back sleep $M > /dev/null || fail "run of it"
        look c > after
        diff before after > difference || fail "$(cat difference)"
        immure export b > /dev/full 2> err && fail full; grep -q 'No space' err || fail "$(cat err)"
        immure export -o /nowhere/x b 2> err && fail nowhere; grep -q 'cannot write "/nowhere/x"' err || fail "$(cat err)"
        """))
  }

  /// A box that runs on as root inside and swaps its folders for links to the host's places, mounts over them, digs deep and uses the names that
  /// layers give a meaning to: the reader resolves every name beneath the box's root without following a link, so that nothing of the
  /// host's is in what comes out, and it comes to an end.
  @Test(arguments: [Caller.root, .user]) func aHostileBoxGivesNothingButItsOwn(caller: Caller) throws {
    expectDone(
      try run(
        caller,
        """
        mkdir secrets && echo "host-secret-$M" > secrets/s && chmod -R a+rX secrets
        cat > inside <<'INSIDE'
        mkdir -p /x/real /x/many; echo inner > /x/real/s
        ln -s "$1" /x/link; ln -s /proc/self/root /x/magic; touch /x/.wh..wh..opq /.wh.bin
        d=/dug; mkdir $d; cd $d; n=0; while [ $n -lt 16 ]; do l=$(printf %0250d 0); mkdir $l && cd $l || break; n=$((n+1)); done
        cd /x; ln -s loop loop
        (while :; do mv real away 2>/dev/null; mv link real 2>/dev/null; mv real link 2>/dev/null; mv away real 2>/dev/null; done) & echo $! > /tmp/pids
        (while :; do echo grow >> /x/grows; : > /x/shrinks; head -c 300000 /dev/zero > /x/shrinks; done) & echo $! >> /tmp/pids
        echo ready; sleep $2
        INSIDE
        box -d --name b $I sh -c "$(cat inside)" sh $D/secrets $M > /dev/null || fail run
        waitfor b
        timeout 60 "$B" --root "$R" export b > out.tar 2> err; [ $? -le 1 ] || fail "export $(cat err)"
        grep -q "host-secret-$M" out.tar && fail "the host's file is in the archive"
        [ $(wc -l < err) -le 4 ] || fail "$(cat err)"
        timeout 60 "$B" --root "$R" diff b > out 2> err; [ $? -le 1 ] || fail "diff $(cat err)"
        # Nothing stands where somebody could choose; a folder too deep for an archive is said, and nothing is made of the rest.
        timeout 60 "$B" --root "$R" commit -q b bad:1 > out 2> err && fail commit
        grep -q 'lies too deep' err && grep -q 'nothing is made of half a sandbox' err || fail "$(cat err)"
        immure images -q | wc -l | grep -qx 1 || fail "$(immure images)"
        immure exec b sh -c 'kill $(cat /tmp/pids); rm -rf /dug' || fail 'cannot remove it'; timeout 60 "$B" --root "$R" commit -q b good:1 > id 2> err || fail "commit $(cat err)"
        grep -q 'a name that stands for a deletion' err || fail "$(cat err)"
        box --rm good:1 sh -c '[ -x /bin/sh ] && ls /x' > out || fail "the box hid its image's files: $(cat out)"
        grep -qx many out || fail "$(cat out)"
        immure save -q --format oci-archive -o good.tar good:1 && ! grep -q "host-secret-$M" good.tar || fail secret
        """, seconds: 200), )
  }

  @Test func whatCannotBeReadIsRefusedByName() throws {
    expectDone(
      try run(
        .root,
        """
        says() { t=$1; shift; immure "$@" > /dev/null 2> err < /dev/null && fail "$*"; [ $(wc -l < err) = 1 ] && grep -q -- "$t" err || fail "$*: $(cat err)"; }
        box -d --name b $I sleep $M > /dev/null
        immure run -d --wall jail --name j $I sleep $M > /dev/null
        box -d --name h -- sleep $M > /dev/null
        for verb in diff export; do
          says 'there is no sandbox "nothing"' $verb nothing
          says "$verb is for the container wall" $verb j
          says 'has no image' $verb h
        done
        says 'commit is for the container wall' commit j x
        says '"Bad:x:y"' commit b Bad:x:y
        says 'ONBUILD' commit -c 'ONBUILD RUN x' b x
        says 'gives no value' commit -c 'ENV A' b x
        says 'is not a list of words' commit -c 'CMD [1' b x
        says 'is not a port' commit -c 'EXPOSE http' b x
        says '"xml"' diff --format xml b
        [ "$(immure exec b echo runs)" = runs ] || fail "left paused"
        immure stop -t 0 b > /dev/null
        for verb in diff export; do says 'what it wrote was in memory' $verb b; done
        says 'what it wrote was in memory' commit b x
        immure images -q | wc -l | grep -qx 1 || fail "$(immure images)"
        """))
  }

  /// What a box uses stays through every kind of pruning, and the sums are du's.
  @Test(arguments: [Caller.root, .user]) func roomIsCountedAndFreed(caller: Caller) throws {
    expectDone(
      try run(
        caller,
        """
        box -d --name b $I sh -c "echo hello; sleep $M" > /dev/null || fail run
        immure commit -q -c 'CMD x' b other:1 > /dev/null && immure tag other:1 third:1
        immure run --name ended -- true
        count() {
          immure system df --format json > use.json || fail df
          python3 - "$(du -s --block-size=1 $R/images $R/sandboxes 2>/dev/null | awk '{s += $1} END {print s}')" <<'END' || fail "$(cat use.json)"
        import json, sys
        use = json.load(open("use.json"))
        total = sum(t["size"] for t in use["totals"])
        # The folders that all of it is in.
        assert abs(total - int(sys.argv[1])) <= 8 * 4096, (total, sys.argv)
        END
        }
        [ '\(caller.rawValue)' = user ] || count
        immure system df -v | grep -q '^image:1 .* yes$' || fail "$(immure system df -v)"
        immure system df --format json | python3 -c '
        import json, sys
        use = json.load(sys.stdin)
        rows = {t["type"]: t for t in use["totals"]}
        assert rows["sandboxes"]["total"] == 2 and rows["sandboxes"]["active"] == 1 and rows["sandboxes"]["reclaimable"] > 0, rows
        assert rows["images"]["total"] == 2 and rows["layers"]["active"] == rows["layers"]["total"] == 4 and rows["layers"]["reclaimable"] == 0, rows
        shared = [i for i in use["images"] if "other:1" in i["names"]][0]
        assert shared["own"] == 0 and shared["shared"] == shared["size"] > 0 and not shared["active"], shared' || fail rows
        immure image prune < /dev/null 2> err && fail asked; grep -q 'say --force' err || fail "$(cat err)"
        immure image prune -f | tail -1 | grep -q '^reclaimed 0 B' || fail nothing
        immure rmi image:1 2> err && fail "rmi of one in use"
        immure image prune -a -f > out || fail prune
        grep -qx 'removed other:1' out && grep -qx 'removed third:1' out || fail "$(cat out)"
        [ "$(immure exec b sh -c 'cat /proc/1/comm > /dev/null; echo alive')" = alive ] || fail "the box lost its files"
        box --rm $I true || fail "its image is gone"
        [ '\(caller.rawValue)' = user ] || count
        immure rm -f --all > /dev/null
        immure image prune -a -f | grep -qx 'removed image:1' || fail last
        [ -z "$(ls $R/images/layers $R/images/blobs/sha256 $R/images/names | grep -v :)" ] || fail "$(ls -R $R/images)"
        """))
  }
}
