// The bytes of guest/init and guest/stub, carried in the executable.
#ifndef CGUEST_H
#define CGUEST_H

#include <stddef.h>

extern const unsigned char immure_guest_init_start[];
extern const unsigned char immure_guest_init_end[];

static inline const unsigned char *immure_guest_init(void) { return immure_guest_init_start; }
static inline size_t immure_guest_init_size(void) {
  return (size_t)(immure_guest_init_end - immure_guest_init_start);
}

extern const unsigned char immure_guest_stub_start[];
extern const unsigned char immure_guest_stub_end[];

static inline const unsigned char *immure_guest_stub(void) { return immure_guest_stub_start; }
static inline size_t immure_guest_stub_size(void) {
  return (size_t)(immure_guest_stub_end - immure_guest_stub_start);
}

#endif
