/* The kernels for rows of probabilities. First their table, a `level`; then what is built of
   them for one instruction set, for which levels.h includes this file again. */
#ifndef LEVEL_NAME

#include "divergences.h"

typedef int rows_function(
    const settings *, const char *, const char *, ptrdiff_t, ptrdiff_t, const ptrdiff_t *, void *);

typedef int pairs_function(
    rows_function *, const settings *, const char *, const char *, ptrdiff_t, ptrdiff_t,
    const ptrdiff_t *, void *);

typedef int logits_function(
    const char *, const char *, ptrdiff_t, ptrdiff_t, const ptrdiff_t *, const double *, double,
    void *);

typedef ptrdiff_t check_function(const char *, ptrdiff_t, ptrdiff_t, const ptrdiff_t *);

typedef struct {
    const char *name;
    rows_function *rows_double[N_TERMS];
    rows_function *rows_float[N_TERMS];
    pairs_function *pairs_double;
    pairs_function *pairs_float;
    logits_function *logits_double;
    logits_function *logits_float;
    check_function *check_double;
    check_function *check_float;
    void (*kl_terms)(const double *, const double *, const double *, ptrdiff_t, double *);
} level;

#define LEVEL_BODY "kernels_rows.h"
#include "levels.h"

#else

#define PRECISE 1
#include "real.h"
#include "divergences.h"

#define INPUT double
#define IN(x) LEVEL(x##_dd)
#include "rows.h"
#include "logits.h"
#undef IN
#undef INPUT

/* float data, double arithmetic */
#define INPUT float
#define IN(x) LEVEL(x##_fd)
#include "rows.h"
#include "logits.h"
#undef PRECISE

#define PRECISE 0
#include "real.h"
#include "divergences.h"
#undef IN
#define IN(x) LEVEL(x##_ff)
#include "rows.h"
#undef IN
#undef INPUT
#undef PRECISE

/* One function for each term: compilers take much longer over one that holds them all. */
#define DEFINE(term, ...) \
    static NOINLINE int LEVEL(term##_double)( \
        const settings *f, const char *p, const char *q, ptrdiff_t n, ptrdiff_t k, \
        const ptrdiff_t *strides, void *out) \
    { return LEVEL(rows_of_dd)(term, f, p, q, n, k, strides, out); }
SINGLE_PRECISION_TERMS(DEFINE) POWERS(DEFINE)
#undef DEFINE

#define DEFINE(term, ...) \
    static NOINLINE int LEVEL(term##_float)( \
        const settings *f, const char *p, const char *q, ptrdiff_t n, ptrdiff_t k, \
        const ptrdiff_t *strides, void *out) \
    { return LEVEL(rows_of_ff)(term, f, p, q, n, k, strides, out); }
SINGLE_PRECISION_TERMS(DEFINE)
#undef DEFINE

static NOINLINE int LEVEL(POWER_float)(
    const settings *f, const char *p, const char *q, ptrdiff_t n, ptrdiff_t k,
    const ptrdiff_t *strides, void *out)
{
    return LEVEL(rows_of_fd)(POWER, f, p, q, n, k, strides, out);
}

#define DEFINE(term, ...) \
    static int LEVEL(term##_double)( \
        const settings *f, const char *p, const char *q, ptrdiff_t n, ptrdiff_t k, \
        const ptrdiff_t *strides, void *out) \
    { return LEVEL(ranked_rows_dd)(f, p, q, n, k, strides, out); } \
    static int LEVEL(term##_float)( \
        const settings *f, const char *p, const char *q, ptrdiff_t n, ptrdiff_t k, \
        const ptrdiff_t *strides, void *out) \
    { return LEVEL(ranked_rows_fd)(f, p, q, n, k, strides, out); }
RANKED(DEFINE)
#undef DEFINE

static int LEVEL(pairs_double)(
    rows_function *function, const settings *f, const char *p, const char *q, ptrdiff_t n,
    ptrdiff_t k, const ptrdiff_t *strides, void *out)
{
    return LEVEL(row_with_rows_dd)(function, f, p, q, n, k, strides, out);
}

static int LEVEL(pairs_float)(
    rows_function *function, const settings *f, const char *p, const char *q, ptrdiff_t n,
    ptrdiff_t k, const ptrdiff_t *strides, void *out)
{
    return LEVEL(row_with_rows_ff)(function, f, p, q, n, k, strides, out);
}

static int LEVEL(logits_double)(
    const char *x, const char *y, ptrdiff_t n, ptrdiff_t k, const ptrdiff_t *strides,
    const double *inverse_temperature, double scale, void *out)
{
    return LEVEL(logits_rows_dd)(x, y, n, k, strides, inverse_temperature, scale, out);
}

static int LEVEL(logits_float)(
    const char *x, const char *y, ptrdiff_t n, ptrdiff_t k, const ptrdiff_t *strides,
    const double *inverse_temperature, double scale, void *out)
{
    return LEVEL(logits_rows_fd)(x, y, n, k, strides, inverse_temperature, scale, out);
}

static ptrdiff_t LEVEL(check_double)(
    const char *p, ptrdiff_t n, ptrdiff_t k, const ptrdiff_t *strides)
{
    return LEVEL(first_bad_row_dd)(p, n, k, strides);
}

static ptrdiff_t LEVEL(check_float)(
    const char *p, ptrdiff_t n, ptrdiff_t k, const ptrdiff_t *strides)
{
    return LEVEL(first_bad_row_ff)(p, n, k, strides);
}

/* out = a log(a / b) - a + b with the differences d = a - b */
static void LEVEL(kl_terms)(
    const double *a, const double *b, const double *d, ptrdiff_t n, double *out)
{
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = LEVEL(kl_term_d)(a[i], b[i], d[i]);
}

#define DOUBLE(term, ...) [term] = LEVEL(term##_double),
#define FLOAT(term, ...) [term] = LEVEL(term##_float),
static const level LEVEL(level) = {
    NAME_OF(LEVEL_NAME),
    {TERMS(DOUBLE)},
    {TERMS(FLOAT)},
    LEVEL(pairs_double),
    LEVEL(pairs_float),
    LEVEL(logits_double),
    LEVEL(logits_float),
    LEVEL(check_double),
    LEVEL(check_float),
    LEVEL(kl_terms),
};
#undef DOUBLE
#undef FLOAT

#endif
