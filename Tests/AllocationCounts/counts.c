// In front of glibc's allocator and of Swift's reference counts, as the dynamic linker finds them: first in the program itself. What the
// libraries call within themselves is not seen. One thread is counted.
#define _GNU_SOURCE
#include "counts.h"
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

static struct immure_counts counted;
struct immure_counts immure_counted(void) { return counted; }

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

// Small strings and what is not there are none: their words are not above zero.
static void count(void *object) { counted.references += (intptr_t)object > 0; }

#define RETAINS(name)                                             \
  void *name(void *object) {                                      \
    static void *(*next)(void *);                                 \
    if (!next) next = (void *(*)(void *))dlsym(RTLD_NEXT, #name); \
    count(object);                                                \
    return next(object);                                          \
  }
#define RELEASES(name)                                          \
  void name(void *object) {                                     \
    static void (*next)(void *);                                \
    if (!next) next = (void (*)(void *))dlsym(RTLD_NEXT, #name); \
    count(object);                                              \
    next(object);                                               \
  }
#define RETAINS_MANY(name)                                                          \
  void *name(void *object, uint32_t times) {                                        \
    static void *(*next)(void *, uint32_t);                                         \
    if (!next) next = (void *(*)(void *, uint32_t))dlsym(RTLD_NEXT, #name);         \
    count(object);                                                                  \
    return next(object, times);                                                     \
  }
#define RELEASES_MANY(name)                                                        \
  void name(void *object, uint32_t times) {                                        \
    static void (*next)(void *, uint32_t);                                         \
    if (!next) next = (void (*)(void *, uint32_t))dlsym(RTLD_NEXT, #name);         \
    count(object);                                                                 \
    next(object, times);                                                           \
  }
RETAINS(swift_retain)
RETAINS(swift_bridgeObjectRetain)
RELEASES(swift_release)
RELEASES(swift_bridgeObjectRelease)
RETAINS_MANY(swift_retain_n)
RELEASES_MANY(swift_release_n)
