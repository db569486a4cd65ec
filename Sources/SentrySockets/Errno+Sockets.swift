import CLinux
import Linux

extension Errno {
  static let notSocket = Errno(rawValue: ENOTSOCK)
  static let destinationRequired = Errno(rawValue: EDESTADDRREQ)
  static let messageTooLong = Errno(rawValue: EMSGSIZE)
  static let wrongProtocol = Errno(rawValue: EPROTOTYPE)
  static let noSuchOption = Errno(rawValue: ENOPROTOOPT)
  static let protocolNotSupported = Errno(rawValue: EPROTONOSUPPORT)
  static let typeNotSupported = Errno(rawValue: ESOCKTNOSUPPORT)
  static let familyNotSupported = Errno(rawValue: EAFNOSUPPORT)
  static let addressInUse = Errno(rawValue: EADDRINUSE)
  static let connectionReset = Errno(rawValue: ECONNRESET)
  static let isConnected = Errno(rawValue: EISCONN)
  static let notConnected = Errno(rawValue: ENOTCONN)
  static let inProgress = Errno(rawValue: EINPROGRESS)
  static let alreadyConnecting = Errno(rawValue: EALREADY)
}
