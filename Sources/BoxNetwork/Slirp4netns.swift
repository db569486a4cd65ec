import CLinux
import Linux

/// slirp4netns(1): a TCP/IP stack in user space, for hosts without pasta.
struct Slirp4netns {
  let program: String

  /// slirp4netns stays in the foreground and writes to a descriptor when its device is there.
  func start(in place: HelperPlace, by deadline: Deadline) throws(NetworkError) -> ProcessIdentity {
    let ready = try attempt("start \(program)") { () throws(SystemError) in try DescriptorPair.pipe() }
    let arguments = [
      "slirp4netns", "--cidr=\(AddressPlan.network)", "--mtu=\(Plumbing.mtu)", "--disable-host-loopback",
      "--enable-sandbox", "--enable-seccomp", "--ready-fd=3", "--netns-type=path", place.gatewayPath,
      Plumbing.helperDevice,
    ]
    let running = try attempt("start \(program)") { () throws(SystemError) in
      try place.spawn(program, arguments, inherited: [ready.second.rawValue], keepsStderr: true)
    }
    let ends = ready.release()
    let readEnd = FileDescriptor(owning: ends.first)
    _ = FileDescriptor(owning: ends.second)
    let answered = try attempt("wait for slirp4netns") { () throws(SystemError) in
      try Readiness.wait(readEnd.rawValue, milliseconds: deadline.left)
    }
    guard answered else {
      running.end()
      throw NetworkError(
        "slirp4netns was not ready within \(UserNetworkStart.milliseconds / 1000) s (\(program))")
    }
    let word = try attempt("wait for slirp4netns") { () throws(SystemError) in
      try File.read(readEnd.rawValue, atMost: 8)
    }
    guard !word.isEmpty, let identity = ProcessIdentity(pid: running.child.pid) else {
      running.end()
      let complaint = running.complaint()
      throw NetworkError("slirp4netns did not start" + (complaint.isEmpty ? "" : ": " + complaint))
    }
    return identity
  }
}
