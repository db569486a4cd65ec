import CLinux
import Linux

/// pasta(1): the host's sockets for the packets of a tap device, without privileges.
struct Pasta {
  let program: String

  /// pasta goes to the background when its device is there and says its pid in a file.
  func start(in place: HelperPlace, by deadline: Deadline) throws(NetworkError) -> ProcessIdentity {
    let pidFile = "pasta.pid"
    let arguments = [
      "pasta", "--quiet", "--ipv4-only", "--address", "\(AddressPlan.box)", "--netmask", "24",
      "--gateway", "\(AddressPlan.helper)", "--no-map-gw", "--dns-forward", "\(AddressPlan.nameServer)",
      "--ns-ifname", Plumbing.helperDevice, "--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none",
      "--udp-ns", "none", "--no-dhcp", "--no-dhcpv6", "--no-ndp", "--no-ra", "--no-netns-quit", "--pid", pidFile,
      "--netns-only", "--netns", place.gatewayPath,
    ]
    let running = try attempt("start \(program)") { () throws(SystemError) in
      try place.spawn(program, arguments, keepsStderr: false)
    }
    let ended = try attempt("wait for pasta") { () throws(SystemError) in
      try Readiness.wait(running.child.descriptor.rawValue, milliseconds: deadline.left)
    }
    guard ended else {
      running.end()
      throw NetworkError(
        "pasta was not ready within \(UserNetworkStart.milliseconds / 1000) s (\(program)); "
          + "it hangs where /dev/net/tun cannot be used")
    }
    let status = try attempt("wait for pasta") { () throws(SystemError) in try running.child.wait() }
    if status != .exited(0) {
      let complaint = running.complaint()
      throw NetworkError(
        "pasta did not start: " + (complaint.isEmpty ? "\(String(describing: status))" : complaint))
    }
    let text = try attempt("read pasta's pid") { () throws(SystemError) in
      try File.contents(place.folder + "/" + pidFile, limit: 64)
    }
    guard let pid = Int32(String(decoding: text, as: UTF8.self).split(separator: "\n").first ?? ""),
      let identity = ProcessIdentity(pid: pid)
    else {
      throw NetworkError("pasta ended right after it started; `\(program) --version` should work")
    }
    return identity
  }
}
