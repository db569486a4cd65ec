# gcc, g++, make (also with jobs), ar, nm, link time optimization, and what they say of errors.
cd /tmp && mkdir p && cd p
cat >a.c <<'E'
#include <math.h>
#include <stdio.h>
int f(int);
int main(void) { printf("%d %.3f\n", f(20), sqrt(2)); return 5; }
E
cat >b.cc <<'E'
#include <string>
#include <vector>
extern "C" int f(int n) {
  std::vector<std::string> v;
  for (int i = 0; i < n; i++) v.push_back(std::to_string(i));
  int s = 0;
  for (auto &x : v) s += x.size();
  return s;
}
E
cat >Makefile <<'E'
all: prog
prog: a.o b.o ; g++ -o $@ $^ -lm
a.o: a.c ; gcc -O2 -g -c -o $@ $<
b.o: b.cc ; g++ -O1 -c -o $@ $<
lib.a: a.o b.o ; ar rcs $@ $^
clean: ; rm -f *.o prog
.PHONY: clean all
E
make; ./prog; echo $?
make; touch a.c; make -j4 prog lib.a
ar t lib.a; nm lib.a | grep ' T '; size prog | tail -1 | cut -f1-3; objdump -d prog | wc -l
gcc -E a.c | sha256sum; gcc -S -O2 -o - a.c | sha256sum
make -n clean; make clean; ls
echo 'int main( {' | gcc -x c -; echo $?
gcc -flto -O2 -pthread -o l a.c b.cc -lm -lstdc++; ./l
make -f none; echo $?
