#ifndef VARNN_THREADS_H
#define VARNN_THREADS_H

/* As many threads as are wanted, at most one for each processor, as many as OMP_THREAD_LIMIT allows and as can be started. */
int threads_usable(int wanted);

#endif
