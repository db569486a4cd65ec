import CLinux
import Formats
import Linux
import Walls

/// Network devices that leave this namespace for the box's (config-linux.md, "Network Devices"), with their addresses of global scope,
/// which the kernel takes from a device that moves.
struct MovedDevices {
  private struct Device {
    var name: NetDeviceConfiguration
    var index: Int32
    var addresses: [InterfaceAddress]
  }
  private var devices: [Device] = []

  /// Looks at them while they are here.
  init(_ configurations: [NetDeviceConfiguration]) throws(WallError) {
    if configurations.isEmpty { return }
    do throws(SystemError) {
      let socket = try RouteSocket()
      let addresses = try socket.globalAddresses()
      for name in configurations {
        let index = try socket.index(of: name.outside)
        devices.append(Device(name: name, index: index, addresses: addresses.filter { $0.device == index }))
      }
    } catch {
      throw WallError("linux.netDevices", error)
    }
  }

  /// In the parent, when the box's namespace is there: a device is down and renamed as it moves.
  func move(into pid: Int32) throws(WallError) {
    if devices.isEmpty { return }
    do throws(SystemError) {
      let namespace = try File.open("/proc/\(pid)/ns/net", O_RDONLY)
      let socket = try RouteSocket()
      for device in devices {
        try socket.move(device.index, named: device.name.inside, to: namespace.rawValue)
      }
    } catch {
      throw WallError("linux.netDevices", error)
    }
  }

  /// In the box: addresses back, and up.
  func configure() throws(SystemError) {
    if devices.isEmpty { return }
    let socket = try RouteSocket()
    for device in devices {
      let index = try socket.index(of: device.name.inside)
      for address in device.addresses { try socket.add(address, to: index) }
      try socket.setUp(index)
    }
  }
}
