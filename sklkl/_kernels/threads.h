/* What threads that share a job need: numbers that they take one after the other. */
#ifndef SKLKL_THREADS_H
#define SKLKL_THREADS_H

#include <stdint.h>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
/* Add to a number that other threads change, too; return what it was. */
#define ADD(number, more) _InterlockedExchangeAdd64((volatile __int64 *)(number), more)
#else
#define ADD(number, more) __atomic_fetch_add(number, more, __ATOMIC_SEQ_CST)
#endif

/* Wait for a number to become 0, but not long; return it. */
static inline int64_t wait_for_zero(int64_t *number, int64_t rounds)
{
    int64_t found;
    while ((found = ADD(number, 0)) != 0 && rounds > 0)
        rounds--;
    return found;
}

#endif
