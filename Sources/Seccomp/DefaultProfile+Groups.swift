extension DefaultProfile {
  /// The group of every call number, one letter each (`CallGroup.letter`) and `[number]` where numbers are skipped,
  /// so that the filter is made without looking up a name. Made from the names: `IMMURE_REGENERATE=1 swift test
  /// --filter DefaultProfileTests` writes this file, and the same test holds it to them.
  static func groups(of architecture: Architecture) -> StaticString? {
    switch architecture {
    case .x86_64:
      """
      hhahahahhhhhhhhaihaaaaaaaaaaaaaaaaaaaaaaasaahhaaaaaaasaacaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
      ataLaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-p-aa-aaaaaaaaaaaaaYa--aaaaCaUTAA--BAARR-MM--A------aaaaaaaaaaaaaa
      aahaaaaaaaaaAaaaaaaaaaaaaaaTaaaahaaa-NNNaaaaaa-a---aaaaa-haaaahaaaaaaaaaAaaaaaa-aaaaaaaaaaaaaaaaaaEa
      AaaaDaaaAattPMaaaaaa-Fa-aaaaaaaaaaaan[424]a---AAAAAAa3aaPaPaAAaaaaaaNaaaaaaaaAAAaaaaannn
      """
    case .x86:
      """
      aaahhahaaaaaaaaaa--haAAaaTta-aa--a--aaaaaaaa-haa-aaUA-ia-a--aC-aaaa---aa--AaaaaTaaaa-a--B-hhaaaaaa-a
      aRmLaaaah-RY--a-aaaacAaaaha-MM-Aaa--p-aaaaaaaaaaa-aaaaaaaaaaaaaaaa--h-aaaahhaaaahaaaaaaa--aaaaaaaaaa
      aaaaaaaaaaaaaaaaa-aaaa[224]aaaaaaaaaaaaaaaahaaaaaaaaaa[252]aAaahaaaaaaaTaaaaaaaa-NNNaaaaaa-a[286]---
      aaaaa-haaaaaaaaaaaaaaAaaaaaa-aaaaaaaaaaaaaaaaaaEaAaaaDaaaAttPMaaaaaaFassaaaaaaaahahaa-aaaaaaaaaaaa[3
      93]aaaaaaaaaaaTaaaaaaaaaa[416]aaaaaaaaa---AAAAAAa3aaPaPaAAaaaaaaNaaaaaaaaAAAaaaaannn
      """
    case .arm64:
      """
      aaaaaaaaaaaaaaaaaaAaaaaaaaaaaiaaaaaaaaaAA--aaaaaaaaCaaaahhYaAahhhaahaaaaaaaaaaahhaaaaaaaaUaapaaaaAha
      aaaa-MMaaaaaTaaaLtaaaaaaaaaaaaaaaahhaaaaaaBaaaaaaaaaaaaaaaaaaAAaaaaaaaTaaaaaaaaaaaaaaaaaaaaaaaaaaass
      aaaaaahhaaaaaahha---caha--haaaaaaaaNNN--aEaa[260]aaAaaDaaAattPMaaaaaaFa-aaaaaaaaaaa-[424]a---AAAAAAa
      3aaPaPaAAaaaaaaNaaaaaaaaAAAaaaaannn
      """
    case .arm:
      """
      aaahhah[8]aaaaa[14]aaa[19]haA[23]aa[26]t[29]a[33]a-[36]aaaaaaaa[45]haa[49]aaUA[54]ia[57]a[60]aC-aaaa
      -[70]aa--Aa[77]aaTaa[83]a[85]a--B[91]haaaaaa[99]aa[103]Laaaah[111]Y[114]a-a[118]aacAa[124]aha[128]MM
      [131]Aaa--p[138]aaaaaaaaaaa-aaaaaaaaaaaaaaaa[168]h-aaaahhaaaahaaaaaaa[190]aaaaaaaaaaaaaaaaaaaaaaaaaa
      aa-aaa[224]aaaaaaaaaaaaaaaahaaaaaaaaAaaha[256]aaaaaaTaaaaaaaa---aaaaaaasaaaaaasahahaaaaaaaaaaaaaaaa-
      --a-aaaaaNNNhaaaaaaaaaaaaaaAaaaaaa-aa-aaaaaaaaaaaaaaaaEaaAaaaDaaaAttPMaaaaaaFa-aaaaaaaaaaa--[403]aTa
      aaaaaaaaa[416]aaaaaaaaa---AAAAAAa3aaPaPaAAaaa[448]aaNaaaaaaaaAAAaaaaannn[983041]aa--a-
      """
    case .riscv64:
      """
      aaaaaaaaaaaaaaaaaaAaaaaaaaaaaiaaaaaaaa[39]AA--aaaaaaaaCaaaahhYaAahhhaahaaaaaaaaaaahhaaaaaaaaUaapaaaa
      Ahaaaaa-MMaaaaaTaaaLtaaaaaaaaaaaaaaaahhaaaaaaBaaaaaaaaaaaaaaaaaaAAaaaaaaaTaaaaaaaaaaaaaaaaaaaaaaaaaa
      assaaaaaahhaaaaaahha---caha--haaaaaaaaNNN--aEaa[258]aaaaAaaDaaAattPMaaaaaaFa-aaaaaaaaaaa-[424]a---AA
      AAAAa3aaPaPaAAaaaaaaNaaaaaaaaAAAaaaaannn
      """
    default: nil
    }
  }
}
