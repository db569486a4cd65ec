// What the program that links this has allocated, and how often it has retained or released an object of Swift's.
#pragma once

struct immure_counts {
  unsigned long allocations;
  unsigned long references;
};

// From here on retains and releases are counted; allocations always are.
void immure_count_references(void);
struct immure_counts immure_counted(void);
