// What the program that links this has allocated so far, and how often it has retained or released an object of Swift's.
#pragma once

struct immure_counts {
  unsigned long allocations;
  unsigned long references;
};

struct immure_counts immure_counted(void);
