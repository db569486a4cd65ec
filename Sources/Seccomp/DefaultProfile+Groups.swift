extension DefaultProfile {
  /// The group of every call number, one letter each (`CallGroup.letter`), so that the filter is made without looking up a
  /// name. Made from the names: `IMMURE_REGENERATE=1 swift test --filter DefaultProfileTests` writes this file, and the same
  /// test holds it to them.
  static func groups(of architecture: Architecture) -> StaticString? {
    switch architecture {
    case .x86_64:
      """
      hhahahahhhhhhhhaihaaaaaaaaaaaaaaaaaaaaaaasaahhaaaaaaasaacaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
      ataLaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-p-aa-aaaaaaaaaaaaaYa--aaaaCaUTAA--BAARR-MM--A------aaaaaaaaaaaaaa
      aahaaaaaaaaaAaaaaaaaaaaaaaaTaaaahaaa-NNNaaaaaa-a---aaaaa-haaaahaaaaaaaaaAaaaaaa-aaaaaaaaaaaaaaaaaaEa
      AaaaDaaaAattPMaaaaaa-Fa-aaaaaaaaaaaan...............................................................
      ........................a---AAAAAAa3aaPaPaAAaaaaaaNaaaaaaaaAAAaaaaannn
      """
    case .arm64:
      """
      aaaaaaaaaaaaaaaaaaAaaaaaaaaaaiaaaaaaaaaAA--aaaaaaaaCaaaahhYaAahhhaahaaaaaaaaaaahhaaaaaaaaUaapaaaaAha
      aaaa-MMaaaaaTaaaLtaaaaaaaaaaaaaaaahhaaaaaaBaaaaaaaaaaaaaaaaaaAAaaaaaaaTaaaaaaaaaaaaaaaaaaaaaaaaaaass
      aaaaaahhaaaaaahha---caha--haaaaaaaaNNN--aEaa................aaAaaDaaAattPMaaaaaaFa-aaaaaaaaaaa-.....
      ....................................................................................................
      ........................a---AAAAAAa3aaPaPaAAaaaaaaNaaaaaaaaAAAaaaaannn
      """
    case .riscv64:
      """
      aaaaaaaaaaaaaaaaaaAaaaaaaaaaaiaaaaaaaa.AA--aaaaaaaaCaaaahhYaAahhhaahaaaaaaaaaaahhaaaaaaaaUaapaaaaAha
      aaaa-MMaaaaaTaaaLtaaaaaaaaaaaaaaaahhaaaaaaBaaaaaaaaaaaaaaaaaaAAaaaaaaaTaaaaaaaaaaaaaaaaaaaaaaaaaaass
      aaaaaahhaaaaaahha---caha--haaaaaaaaNNN--aEaa..............aaaaAaaDaaAattPMaaaaaaFa-aaaaaaaaaaa-.....
      ....................................................................................................
      ........................a---AAAAAAa3aaPaPaAAaaaaaaNaaaaaaaaAAAaaaaannn
      """
    default: nil
    }
  }
}
