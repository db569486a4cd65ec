// libFuzzer's driver (compiler-rt, lib/fuzzer/FuzzerMain.cpp), called from a Swift @main: with LLVMFuzzerTestOneInput, libFuzzer's own
// main would collide with the Swift executable's.
#ifndef IMMURE_CFUZZ_H
#define IMMURE_CFUZZ_H

#include <stddef.h>
#include <stdint.h>

/// Runs the callback on generated inputs until the command line's bounds are reached; returns the process's exit status.
/// The callback returns 0, or -1 to keep an input out of the corpus (https://llvm.org/docs/LibFuzzer.html).
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));

#endif
