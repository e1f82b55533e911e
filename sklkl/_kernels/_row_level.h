/* All kernels for one instruction set: LEVEL_NAME, HAVE_FMA; see _row_levels.h. */

#define REAL double
#define BITS uint64_t
#define PRECISE 1
#define NAME(x) LEVEL(x##_d)
#include "_terms.h"

#define INPUT double
#define IN(x) LEVEL(x##_dd)
#include "_exact.h"
#define EXACT_ROW LEVEL(exact_row_dd)
#include "_rows.h"
#undef EXACT_ROW
#include "_logits.h"
#undef IN
#undef INPUT

/* float data, double arithmetic */
#define INPUT float
#define IN(x) LEVEL(x##_fd)
#include "_exact.h"
#define EXACT_ROW LEVEL(exact_row_fd)
#include "_rows.h"
#include "_logits.h"
#undef IN
#undef INPUT
#include "_undefine.h"

#define REAL float
#define BITS uint32_t
#define PRECISE 0
#define NAME(x) LEVEL(x##_f)
#include "_terms.h"
#define INPUT float
#define IN(x) LEVEL(x##_ff)
#include "_rows.h"
#undef EXACT_ROW
#undef IN
#undef INPUT
#include "_undefine.h"

/* One function for each term: compilers take much longer over one that holds them all. */
#define DEFINE(term) \
    static NOINLINE int LEVEL(term##_double)( \
        const settings *f, const char *p, const char *q, ptrdiff_t n, ptrdiff_t k, \
        const ptrdiff_t *strides, void *out) \
    { return LEVEL(rows_of_dd)(term, f, p, q, n, k, strides, out); }
FOR_EACH_TERM(DEFINE)
#undef DEFINE

#define DEFINE(term) \
    static NOINLINE int LEVEL(term##_float)( \
        const settings *f, const char *p, const char *q, ptrdiff_t n, ptrdiff_t k, \
        const ptrdiff_t *strides, void *out) \
    { return LEVEL(rows_of_ff)(term, f, p, q, n, k, strides, out); }
FOR_EACH_FLOAT_TERM(DEFINE)
#undef DEFINE

static NOINLINE int LEVEL(POWER_float)(
    const settings *f, const char *p, const char *q, ptrdiff_t n, ptrdiff_t k,
    const ptrdiff_t *strides, void *out)
{
    return LEVEL(rows_of_fd)(POWER, f, p, q, n, k, strides, out);
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

/* out = a log(a / b) - a + b with the differences d = a - b */
static void LEVEL(kl_terms)(
    const double *a, const double *b, const double *d, ptrdiff_t n, double *out)
{
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = D(kl_term)(a[i], b[i], d[i]);
}

#define DOUBLE(term) [term] = LEVEL(term##_double),
#define FLOAT(term) [term] = LEVEL(term##_float),
static const level LEVEL(level) = {
    NAME_OF(LEVEL_NAME),
    {FOR_EACH_TERM(DOUBLE)},
    {FOR_EACH_TERM(FLOAT)},
    LEVEL(logits_double),
    LEVEL(logits_float),
    LEVEL(kl_terms),
};
#undef DOUBLE
#undef FLOAT
