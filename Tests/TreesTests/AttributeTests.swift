import CLinux
import Foundation
import Linux
import Testing
import Trees

/// Extended attributes in copies: which come along, what a stream may not say, and that a file is never more open without its ACL.
struct AttributeTests {
  private static let setUp = """
    cat > x.py <<'P'
    import os, struct, sys
    def acl(*entries): return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *e) for e in entries)
    NONE = 0xffffffff
    # rw- for the owner, rwx for user 1234, nothing for the group, mask rwx, nothing for others: the mode says 0670.
    LIST = acl((1, 6, NONE), (2, 7, 1234), (4, 0, NONE), (16, 7, NONE), (32, 0, NONE))
    CAPS = struct.pack('<IIIII', 0x02000000 | 1, 1 << 10, 0, 0, 0)
    def show(path):
        told = ['%o' % (os.stat(path).st_mode & 0o7777)]
        for name in sorted(os.listxattr(path)):
            value = os.getxattr(path, name)
            told.append(name + '=' + ({LIST: 'LIST', CAPS: 'CAPS'}.get(value) or value.decode('latin-1')))
        print(' '.join(told))
    P
    mkdir tree; printf x > tree/file; : > tree/plain; mkdir tree/in
    python3 - <<'P'
    from x import *
    os.setxattr('tree/file', 'user.one', b'1=\\n2'); os.setxattr('tree/in', 'user.two', b''); os.setxattr('tree/file', 'user.overlay.opaque', b'y')
    os.chmod('tree/file', 0o640); os.setxattr('tree/file', 'system.posix_acl_access', LIST)
    os.setxattr('tree/in', 'system.posix_acl_default', LIST); os.setxattr('tree/file', 'user.odd=name', b'x')
    if os.geteuid() == 0: os.setxattr('tree/file', 'security.capability', CAPS)
    P

    """

  private func shown(_ scratch: TreeTests.Scratch, _ path: String) throws -> String {
    try scratch.shell("python3 -c 'from x import *; show(\"\(path)\")'").trimmingCharacters(in: .newlines)
  }

  /// Without the owners come the user's own attributes only, and the group has what the ACL gave it, not the ACL's mask: shown to
  /// fail by leaving the mode as it is (the copy was 0670, open to a group that the ACL kept out).
  @Test func theUsersOwnAlwaysComeAlong() throws {
    let scratch = try TreeTests.Scratch()
    try scratch.shell(Self.setUp)
    let (sent, got) = try scratch.copy("tree", "copy")
    #expect(sent.fatal == nil && got.fatal == nil && got.failed.count == 0 && got.attributes.count == 0)
    #expect(sent.attributes.count == 1 && sent.attributes.first.contains("odd=name"), "\(sent)")
    #expect(try shown(scratch, "copy/file") == "600 user.one=1=\n2")
    #expect(try shown(scratch, "copy/in") == "755 user.two=")
    #expect(try shown(scratch, "copy/plain") == "644")
  }

  @Test(.enabled(if: Linux.Process.effectiveUser == 0, "file capabilities are root's to give"))
  func whatGivesPowerComesWithTheOwners() throws {
    let scratch = try TreeTests.Scratch()
    try scratch.shell(Self.setUp)
    let (sent, got) = try scratch.copy("tree", "copy", keepsOwners: true)
    #expect(sent.fatal == nil && got.fatal == nil && got.failed.count == 0 && got.attributes.count == 0, "\(got)")
    #expect(
      try shown(scratch, "copy/file") == "670 security.capability=CAPS system.posix_acl_access=LIST user.one=1=\n2")
    #expect(try shown(scratch, "copy/in") == "755 system.posix_acl_default=LIST user.two=")
  }

  /// A stream names attributes that no packer of ours sends: labels, the administrator's, overlayfs's marks, in hundreds and
  /// without end. None of them is set; a value that the kernel refuses is told, and its file arrives without.
  @Test(arguments: [false, true])
  func aHostileStreamSetsNoOthers(keepsOwners: Bool) throws {
    let scratch = try TreeTests.Scratch()
    try scratch.shell(
      Self.setUp + """
        python3 - <<'P'
        import tarfile, io
        t = tarfile.open('evil.tar', 'w', format=tarfile.PAX_FORMAT)
        def f(name, headers):
            i = tarfile.TarInfo(name); i.size = 1; i.pax_headers = {'SCHILY.xattr.' + k: v for k, v in headers.items()}
            t.addfile(i, io.BytesIO(b'x'))
        f('a', {'trusted.overlay.opaque': 'y', 'security.selinux': 'system_u:object_r:etc_t:s0', 'security.ima': 'x',
                'user.overlay.redirect': '/etc', 'system.nfs4_acl': 'x', 'user.fine': 'yes', 'user': 'x', 'security.capability.x': 'x'})
        f('b', {'security.capability': 'no capability', 'system.posix_acl_access': 'no list', 'user.fine': 'yes'})
        t.close()
        P
        mkdir target
        """)
    let file = try File.open(scratch.path + "/evil.tar", O_RDONLY)
    let report = TreeUnpacker(
      place: .host, target: TreeTarget(scratch.path + "/target", isArchive: true, keepsOwners: keepsOwners)
    ).unpack(from: file.rawValue, signals: nil)
    #expect(report.fatal == nil && report.failed.count == 0 && report.files == 2, "\(report)")
    #expect(report.attributes.count == (keepsOwners ? 2 : 0), "\(report)")
    #expect(try shown(scratch, "target/a") == "644 user.fine=yes")
    // The group has nothing where the list that would say so makes no sense.
    #expect(try shown(scratch, "target/b") == "604 user.fine=yes")
  }

  /// More than an archive's reader takes is told and does not end the copy (tmpfs has no bound of its own for `user.*` but memory).
  @Test func tooManyAreTold() throws {
    let scratch = try TreeTests.Scratch()
    try scratch.shell(
      Self.setUp + """
        mkdir many; printf x > many/file; printf y > many/other
        python3 -c '
        import os
        for i in range(300):
            try: os.setxattr("many/file", "user.%03d" % i, b"v")
            except OSError: break
        print(len(os.listxattr("many/file")))' > count
        """)
    let count = Int(try scratch.shell("cat count").trimmingCharacters(in: .newlines)) ?? 0
    let (sent, got) = try scratch.copy("many", "copy")
    #expect(sent.fatal == nil && got.fatal == nil && got.failed.count == 0 && got.files == 2)
    #expect(Int(sent.attributes.count) == max(count - 200, 0))
    #expect(
      try scratch.shell("python3 -c 'import os; print(len(os.listxattr(\"copy/file\")))'") == "\(min(count, 200))\n")
  }
}
