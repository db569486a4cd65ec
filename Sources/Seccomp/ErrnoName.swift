/// The errors' names, as errno(3) and containers-common's profiles use them beside the numbers.
public enum ErrnoName {
  /// "EPERM" for 1; the number itself where no error has it.
  public static func name(of number: Int32) -> String {
    let all = DefaultProfile.words(of: names)
    let position = Int(number) - 1
    return all.indices.contains(position) && all[position] != "-" ? all[position] : "\(number)"
  }

  /// The number of a name; the same on x86, arm64 and riscv64. nil for no such error.
  static func number(of name: String) -> UInt16? {
    switch name {
    case "EWOULDBLOCK": return 11
    case "EDEADLOCK": return 35
    case "ENOTSUP": return 95
    default:
      // A hyphen holds the place of a number that has no error.
      let position = DefaultProfile.words(of: names).firstIndex(of: name)
      return name == "-" ? nil : position.map { UInt16($0 + 1) }
    }
  }

  /// Errors 1 to 133 in order (asm-generic/errno-base.h, asm-generic/errno.h).
  private static let names: StaticString = """
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST
    EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM
    ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP - ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG
    EUNATCH ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT - EBFONT ENOSTR ENODATA ETIME ENOSR ENONET
    ENOPKG EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG
    ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE
    EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE
    EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN
    ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL
    EISNAM EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD
    ENOTRECOVERABLE ERFKILL EHWPOISON
    """
}
