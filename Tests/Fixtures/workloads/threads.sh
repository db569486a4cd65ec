# C's threads: mutexes, conditions, barriers, keys, cancellation; semaphores and robust mutexes between processes; OpenMP.
cd /tmp
cat >t.c <<'E'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t b;
static pthread_key_t key;
static int n, ended, turn;
static __thread int mine;
static void destroyed(void *p) { __sync_fetch_and_add((int *)p, 1); }
static void *counts(void *p) {
  mine = (long)p;
  pthread_setspecific(key, &ended);
  for (int i = 0; i < 1000; i++) {
    pthread_mutex_lock(&m); n++; pthread_mutex_unlock(&m);
    pthread_rwlock_rdlock(&rw); pthread_rwlock_unlock(&rw);
  }
  pthread_barrier_wait(&b);
  return (void *)(long)(mine * 2);
}
static void *takes_turns(void *p) {
  for (int i = 0; i < 500; i++) {
    pthread_mutex_lock(&m);
    while (turn != (long)p) pthread_cond_wait(&c, &m);
    turn ^= 1;
    pthread_cond_broadcast(&c);
    pthread_mutex_unlock(&m);
  }
  return 0;
}
static void *sleeps(void *p) { for (;;) pause(); }
static void *shared(void) { return mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0); }
int main(void) {
  pthread_t t[16];
  void *r;
  long sum = 0;
  int st;
  pthread_key_create(&key, destroyed);
  pthread_barrier_init(&b, 0, 16);
  for (long i = 0; i < 16; i++) pthread_create(&t[i], 0, counts, (void *)i);
  for (int i = 0; i < 16; i++) { pthread_join(t[i], &r); sum += (long)r; }
  printf("counted %d %ld %d\n", n, sum, ended);
  for (long i = 0; i < 2; i++) pthread_create(&t[i], 0, takes_turns, (void *)i);
  for (int i = 0; i < 2; i++) pthread_join(t[i], 0);
  pthread_create(&t[0], 0, sleeps, 0); pthread_cancel(t[0]); pthread_join(t[0], &r);
  printf("canceled %d\n", r == PTHREAD_CANCELED);

  sem_t *s = shared();
  sem_init(s, 1, 0);
  if (!fork()) { sem_post(s); sem_post(s); _exit(3); }
  sem_wait(s); sem_wait(s); wait(&st);
  printf("posted %d\n", WEXITSTATUS(st));
  sem_t *named = sem_open("/workload", O_CREAT, 0600, 0);
  printf("named %d %d\n", named != SEM_FAILED, sem_unlink("/workload"));
  pthread_mutexattr_t a;
  pthread_mutexattr_init(&a);
  pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
  pthread_mutex_t *robust = shared();
  pthread_mutex_init(robust, &a);
  if (!fork()) { pthread_mutex_lock(robust); _exit(0); }
  wait(&st);
  printf("owner died %d\n", pthread_mutex_lock(robust) == EOWNERDEAD);

  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  pthread_mutex_lock(&m);
  printf("timed out %d\n", pthread_cond_timedwait(&c, &m, &ts) == ETIMEDOUT);
  char name[16];
  pthread_setname_np(pthread_self(), "renamed"); pthread_getname_np(pthread_self(), name, sizeof name);
  cpu_set_t set;
  pthread_attr_t attributes;
  printf("%s %d %d\n", name, pthread_getaffinity_np(pthread_self(), sizeof set, &set), pthread_getattr_np(pthread_self(), &attributes));
  if (!fork()) { pthread_create(&t[0], 0, sleeps, 0); pthread_kill(t[0], SIGTERM); for (;;) pause(); }
  wait(&st);
  printf("ended by %d\n", WTERMSIG(st));
  return 0;
}
E
gcc -pthread -O1 -o t t.c && ./t; echo $?
cat >o.c <<'E'
#include <stdio.h>
int main(void) {
  long s = 0;
#pragma omp parallel for reduction(+ : s) num_threads(4)
  for (int i = 0; i < 100000; i++) s += i;
  printf("%ld\n", s);
}
E
gcc -fopenmp -O2 -o o o.c && ./o
