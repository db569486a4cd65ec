// In front of glibc's allocator, and between Swift's runtime and its reference counts: the runtime calls them through pointers where its switch for
// instruments says so (stdlib/public/runtime/HeapObject.cpp). One thread is counted.
#include "counts.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static struct immure_counts counted;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *old);

void *malloc(size_t size) {
  counted.allocations++;
  return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
  counted.allocations++;
  return __libc_calloc(count, size);
}
void *realloc(void *old, size_t size) {
  counted.allocations++;
  return __libc_realloc(old, size);
}
void free(void *old) { __libc_free(old); }

extern void *(*_swift_retain)(void *object);
extern void (*_swift_release)(void *object);
extern void *(*_swift_retain_n)(void *object, uint32_t count);
extern void (*_swift_release_n)(void *object, uint32_t count);
extern bool _swift_enableSwizzlingOfAllocationAndRefCountingFunctions_forInstrumentsOnly;

static void *(*own_retain)(void *);
static void (*own_release)(void *);
static void *(*own_retain_n)(void *, uint32_t);
static void (*own_release_n)(void *, uint32_t);

static void *retain(void *object) {
  counted.references += object != NULL;
  return own_retain(object);
}
static void release(void *object) {
  counted.references += object != NULL;
  own_release(object);
}
static void *retain_n(void *object, uint32_t count) {
  counted.references += object != NULL;
  return own_retain_n(object, count);
}
static void release_n(void *object, uint32_t count) {
  counted.references += object != NULL;
  own_release_n(object, count);
}

void immure_count_references(void) {
  own_retain = _swift_retain;
  own_release = _swift_release;
  own_retain_n = _swift_retain_n;
  own_release_n = _swift_release_n;
  _swift_retain = retain;
  _swift_release = release;
  _swift_retain_n = retain_n;
  _swift_release_n = release_n;
  _swift_enableSwizzlingOfAllocationAndRefCountingFunctions_forInstrumentsOnly = true;
}

struct immure_counts immure_counted(void) { return counted; }
