/// The superblock of an image that we write (`struct erofs_super_block`).
struct EROFSSuperblockWriter {
  var layout: EROFSLayout
  /// Of the whole image, or of the first device where there are more.
  var blocks: UInt64
  /// Blocks of each further device, and where they are seen among the image's.
  var devices: [(blocks: UInt64, mapped: UInt64)] = []

  /// Blocks at the image's beginning: the superblock's, and those of the table of devices.
  static func reserved(devices: Int) -> UInt64 {
    UInt64((deviceTable + devices * EROFSFormat.deviceSlot + EROFSFormat.blockSize - 1) / EROFSFormat.blockSize)
  }

  /// The table begins right behind the superblock.
  static let deviceTable = EROFSFormat.superblockOffset + EROFSFormat.superblockSize

  /// The reserved blocks, checksum included. Nothing in them depends on time or chance.
  func encode(reserved: UInt64) -> [UInt8] {
    var block = [UInt8](repeating: 0, count: EROFSFormat.superblockOffset)
    block.appendLittleEndian(EROFSFormat.magic)
    block.appendLittleEndian(UInt32(0))
    block.appendLittleEndian(EROFSFormat.Compatible.checksum | EROFSFormat.Compatible.modificationTimes)
    block.append(EROFSFormat.blockBits)
    block.append(0)
    block.appendLittleEndian(UInt16(EROFSLayout.firstID))
    block.appendLittleEndian(layout.inodes)
    block.appendLittleEndian(UInt64(0))
    block.appendLittleEndian(UInt32(0))
    block.appendLittleEndian(UInt32(truncatingIfNeeded: blocks))
    block.appendLittleEndian(UInt32(truncatingIfNeeded: layout.inodeBlock))
    block.appendLittleEndian(UInt32(truncatingIfNeeded: layout.attributeBytes > 0 ? layout.attributeBlock : 0))
    block.append(contentsOf: repeatElement(0, count: 32))
    block.appendLittleEndian(
      (layout.hasChunks ? EROFSFormat.Incompatible.chunks : 0)
        | (devices.isEmpty ? 0 : EROFSFormat.Incompatible.deviceTable))
    block.appendLittleEndian(UInt16(0))
    block.appendLittleEndian(UInt16(truncatingIfNeeded: devices.count))
    block.appendLittleEndian(UInt16(devices.isEmpty ? 0 : Self.deviceTable / EROFSFormat.deviceSlot))
    block.append(contentsOf: repeatElement(0, count: Self.deviceTable - block.count))
    for device in devices {
      block.append(contentsOf: repeatElement(0, count: 64))
      block.appendLittleEndian(UInt32(truncatingIfNeeded: device.blocks))
      block.appendLittleEndian(UInt32(truncatingIfNeeded: device.mapped))
      block.append(contentsOf: repeatElement(0, count: 56))
    }
    block.append(contentsOf: repeatElement(0, count: Int(reserved) * EROFSFormat.blockSize - block.count))
    let sum = EROFSFormat.crc32c(block.span.extracting(EROFSFormat.superblockOffset..<EROFSFormat.blockSize))
    for index in 0..<4 {
      block[EROFSFormat.superblockOffset + 4 + index] = UInt8(truncatingIfNeeded: sum >> (8 * index))
    }
    return block
  }
}
