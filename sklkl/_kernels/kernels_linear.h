/* The kernels of linear models. First their table, a `level`; then what is built of them for one
   instruction set, for which levels.h includes this file again. */
#ifndef LEVEL_NAME

#include "divergences.h"

/* The last is the range of the raw predictions of a row, for a binary model the absolute value
   of its single one: no log-odds of two classes is larger. */
enum { RAW_PREDICTION, PROBABILITY, LOG_PROBABILITY, LARGEST_LOG_ODDS };

/* What a model is to learn: sum over rows of weight D(target || softmax(inverse_temperature z)),
   with z its logits; for the first divergence the cross-entropy in its place. */
typedef struct {
    const void *target;    /* (n, K) probabilities of the type of x, or (n,) ptrdiff_t codes; or the
                              probabilities of the classes that a row lists, row after row */
    int soft;              /* the first of these? Always, for divergences after the first */
    int narrow;            /* float, where arithmetic is double? */
    const ptrdiff_t *starts;  /* (n + 1,): where the list of each row starts, NULL for no lists */
    const int32_t *listed;    /* the classes, in the places of their probabilities */
    const void *left;      /* (n,): what remains for all other classes */
    const void *shares;    /* REAL of each class, in proportion to which others get that; NULL: is
                              nothing known but the sum */
    const void *divisors;  /* REAL of each row: the sum of these of the classes not listed */
    const double *weight;
    double inverse_temperature;
    int divergence;
    double parameter;      /* of the last two divergences, never 0 or 1 */
} loss_term;

enum {
    MAX_TERMS = 2,
    /* Classes that are summed before their sum is added to others: 50,000 floats one after the
       other lost 4 digits. */
    SUMMED = 256
};

/* Data, the shapes of their tiles, and what a call asks of them. */
typedef struct {
    ptrdiff_t n_features;
    ptrdiff_t n_logits;    /* 1 if binary */
    int intercept;
    const char *x;         /* a dense matrix, or the data of a CSR matrix */
    int narrow;            /* a dense matrix of float, where arithmetic is double? */
    ptrdiff_t row_stride, column_stride;
    const void *center;    /* taken off every row of a dense matrix: whole vectors of its type */
    const void *offset;    /* (n, n_logits) of its type, added to the logits; NULL for none */
    const void *indptr, *indices;  /* of a CSR matrix, otherwise NULL */
    int wide;              /* are they 64 bits wide? */
    loss_term terms[MAX_TERMS];
    int n_terms;
    ptrdiff_t most_listed; /* classes by any row */
    ptrdiff_t tile;        /* rows of a tile, a multiple of LANES */
    ptrdiff_t width;       /* columns of a tile of X: whole vectors */
    ptrdiff_t columns;     /* of coefficients and logits: whole vectors if dense, else n_logits */
    int curvature;         /* is there room for what the curvature needs? */
    const void *v;         /* coefficients, (n_features + intercept, columns); a binary model's of
                              dense data (width,), with zeros at the end */
    int full, products;    /* curvature: a whole Gram matrix; products of probabilities, not only
                              their diagonal */
    ptrdiff_t n_gram;      /* numbers of the Gram matrix or its diagonal, which come first */
    int what;              /* predict: one of the above */
    double inverse_temperature;  /* predict: by which logits are multiplied */
    void *out;
} linear;

/* Pass over rows [start, stop): add to sums, return what is summed beside them. */
typedef double linear_kernel(const linear *, ptrdiff_t, ptrdiff_t, char *, double *);

typedef struct {
    ptrdiff_t (*work_size)(const linear *);  /* bytes of the memory that a kernel needs */
    linear_kernel *objective, *curvature, *predict;
} linear_kernels;

typedef struct {
    const char *name;
    int vector_bytes;
    linear_kernels of_double, of_float;
} level;
#define LEVEL_BODY "kernels_linear.h"
#include "levels.h"

#else

#define PRECISE 1
#include "real.h"
#include "divergences.h"
#include "linear.h"
#undef PRECISE

#define PRECISE 0
#include "real.h"
#include "divergences.h"
#include "linear.h"
#undef PRECISE

#define KERNELS(x) \
    {LEVEL(work_size_##x), LEVEL(objective_##x), LEVEL(curvature_##x), LEVEL(predict_##x)}
static const level LEVEL(level) = {
    NAME_OF(LEVEL_NAME), VECTOR_BYTES ? VECTOR_BYTES : 1, KERNELS(d), KERNELS(f)};
#undef KERNELS

#endif
