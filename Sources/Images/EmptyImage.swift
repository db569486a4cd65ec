/// The smallest EROFS image: one block, an empty root folder (Documentation/filesystems/erofs.rst; fs/erofs/erofs_fs.h).
enum EmptyImage {
  static let bytes: [UInt8] = {
    var block = [UInt8](repeating: 0, count: 4096)
    func put(_ offset: Int, _ bytes: [UInt8]) { block.replaceSubrange(offset..<offset + bytes.count, with: bytes) }
    // The superblock: magic, no checksum, times are of modification, blocks of 2^12, root inode 36, one inode; one block, from 0 on.
    put(1024, [0xe2, 0xe1, 0xf5, 0xe0, 0, 0, 0, 0, 2, 0, 0, 0, 12, 0, 36, 0, 1])
    put(1060, [1])
    // The root inode, in the short form: contents follow it, drwxr-xr-x, two links, 27 bytes.
    put(1152, [4, 0, 0, 0, 0xed, 0x41, 2, 0, 27])
    put(1168, [0xff, 0xff, 0xff, 0xff])
    // "." and "..", both inode 36: number, where the name begins, folder; then the names.
    put(1184, [36, 0, 0, 0, 0, 0, 0, 0, 24, 0, 2, 0, 36, 0, 0, 0, 0, 0, 0, 0, 25, 0, 2, 0])
    put(1208, Array("...".utf8))
    return block
  }()
}
