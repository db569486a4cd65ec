/// SHA-256 (FIPS 180-4), streaming, portable Swift: for manifests, configurations and names. Layers' worth of bytes
/// belong to a library that uses the CPU's own instructions.
public struct SHA256: Sendable {
  private var state: InlineArray<8, UInt32> = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
  ]
  private var block = InlineArray<64, UInt8>(repeating: 0)
  private var filled = 0
  private var length: UInt64 = 0

  public init() {}

  /// The digest of bytes that are all there.
  public static func hash(_ bytes: Span<UInt8>) -> [UInt8] {
    var hash = SHA256()
    hash.update(bytes)
    return hash.finish()
  }

  public mutating func update(_ bytes: Span<UInt8>) {
    length &+= UInt64(bytes.count)
    var index = 0
    while index < bytes.count {
      let taken = min(64 - filled, bytes.count - index)
      for step in 0..<taken { block[filled + step] = bytes[index + step] }
      filled += taken
      index += taken
      if filled == 64 {
        compress()
        filled = 0
      }
    }
  }

  /// The 32 bytes of the digest; the value is used up by it.
  public mutating func finish() -> [UInt8] {
    block[filled] = 0x80
    for index in filled + 1..<64 { block[index] = 0 }
    if filled >= 56 {
      compress()
      for index in 0..<64 { block[index] = 0 }
    }
    let bits = length &<< 3
    for index in 0..<8 { block[56 + index] = UInt8(truncatingIfNeeded: bits &>> UInt64(56 - 8 * index)) }
    compress()
    var digest: [UInt8] = []
    digest.reserveCapacity(32)
    for index in 0..<8 {
      for shift in [UInt32(24), 16, 8, 0] { digest.append(UInt8(truncatingIfNeeded: state[index] &>> shift)) }
    }
    return digest
  }

  private mutating func compress() {
    var w = InlineArray<64, UInt32>(repeating: 0)
    for t in 0..<16 {
      w[t] =
        UInt32(block[4 * t]) &<< 24 | UInt32(block[4 * t + 1]) &<< 16 | UInt32(block[4 * t + 2]) &<< 8
        | UInt32(block[4 * t + 3])
    }
    for t in 16..<64 {
      let a = w[t - 15]
      let b = w[t - 2]
      let s0 = Self.rotate(a, 7) ^ Self.rotate(a, 18) ^ a &>> 3
      let s1 = Self.rotate(b, 17) ^ Self.rotate(b, 19) ^ b &>> 10
      w[t] = w[t - 16] &+ s0 &+ w[t - 7] &+ s1
    }
    var (a, b, c, d) = (state[0], state[1], state[2], state[3])
    var (e, f, g, h) = (state[4], state[5], state[6], state[7])
    for t in 0..<64 {
      let s1 = Self.rotate(e, 6) ^ Self.rotate(e, 11) ^ Self.rotate(e, 25)
      let t1 = h &+ s1 &+ ((e & f) ^ (~e & g)) &+ Self.constants[t] &+ w[t]
      let s0 = Self.rotate(a, 2) ^ Self.rotate(a, 13) ^ Self.rotate(a, 22)
      let t2 = s0 &+ ((a & b) ^ (a & c) ^ (b & c))
      (h, g, f, e, d, c, b, a) = (g, f, e, d &+ t1, c, b, a, t1 &+ t2)
    }
    state[0] &+= a
    state[1] &+= b
    state[2] &+= c
    state[3] &+= d
    state[4] &+= e
    state[5] &+= f
    state[6] &+= g
    state[7] &+= h
  }

  @inline(__always)
  private static func rotate(_ x: UInt32, _ n: UInt32) -> UInt32 { x &>> n | x &<< (32 &- n) }

  /// FIPS 180-4, 4.2.2.
  private static let constants: InlineArray<64, UInt32> = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
  ]
}
