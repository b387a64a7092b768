/* How many threads this process can have. */
#include "threads.h"
#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(_OPENMP) && !defined(_WIN32)
#include <pthread.h>

static void *wait_for(void *lock) {
  pthread_mutex_lock((pthread_mutex_t *)lock);
  pthread_mutex_unlock((pthread_mutex_t *)lock);
  return NULL;
}

/* How many of n threads, this one among them, can be there at a time. OpenMP ends the process where it cannot start the threads
 * that it is asked for. */
static int startable(int n) {
  enum { MOST = 1024 };
  pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_t thread[MOST];
  int started = 0;
  if (n > MOST) n = MOST;
  pthread_mutex_lock(&lock);
  while (started < n - 1 && !pthread_create(&thread[started], NULL, wait_for, &lock)) started++;
  pthread_mutex_unlock(&lock);
  for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
  return started + 1;
}
#else
static int startable(int n) { return n; }
#endif

int threads_usable(int wanted) {
#ifdef _OPENMP
  const int processors = omp_get_num_procs(), limit = omp_get_thread_limit();
  int n = wanted < processors ? wanted : processors;
  if (n > limit) n = limit;
  return n > 1 ? startable(n) : 1;
#else
  (void)wanted;
  return startable(1);
#endif
}
