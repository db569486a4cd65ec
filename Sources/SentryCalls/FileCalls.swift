/// All calls about files, for `CallTable.all`.
enum FileCalls {
  static let rows: [CallRow] =
    OpenCalls.rows + DescriptorCalls.rows + ControlCalls.rows + StatusCalls.rows + DirectoryCalls.rows
    + MemoryFileCalls.rows + AttributeCalls.rows + ExtendedAttributeCalls.rows + DataCalls.rows + SizeCalls.rows
    + CopyCalls.rows
}
