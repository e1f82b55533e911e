/* The kernels for rows of probabilities, for every instruction set. */
#ifndef SKLKL_ROW_LEVELS_H
#define SKLKL_ROW_LEVELS_H

#include "_portable.h"

#define FOR_EACH_SIMPLE_DIVERGENCE(X) \
    X(KL) X(JEFFREYS) X(JENSEN_SHANNON) X(CHI2) X(HELLINGER) X(TOTAL_VARIATION) \
    X(BHATTACHARYYA)
#define FOR_EACH_DIVERGENCE(X) FOR_EACH_SIMPLE_DIVERGENCE(X) X(POWER)
#define FOR_EACH_FLOAT_TERM(X) FOR_EACH_SIMPLE_DIVERGENCE(X) X(CROSS_ENTROPY) X(ENTROPY)
#define FOR_EACH_TERM(X) FOR_EACH_FLOAT_TERM(X) X(POWER)

typedef enum {
    KL, JEFFREYS, JENSEN_SHANNON, CHI2, HELLINGER, TOTAL_VARIATION, BHATTACHARYYA,
    POWER, CROSS_ENTROPY, ENTROPY, N_TERMS
} term_t;

/* Has it a second sum, the moment sum a^alpha b^(1 - alpha)? */
#define HAS_MOMENT(term) ((term) == POWER || (term) == BHATTACHARYYA)

/* Is it computed in two steps? See halves in _terms.h. */
#define TWO_STEPS(term) ((term) == POWER || (term) == JENSEN_SHANNON)
#define STEP_OF(term) (TWO_STEPS(term) ? STEP : BLOCK)

/* What is computed of each pair of rows. */
typedef struct {
    int term;
    double weight;      /* of p in the mixture: JENSEN_SHANNON */
    double curvature;   /* half the second derivative of the term at p = q = 1 */
    double scale;       /* nats to the unit of the result */
    int root;           /* is the result the square root? */
    int inf_at_zero_p;  /* is it infinite where p = 0 < q? */
    int inf_at_zero_q;
    int positive_p;     /* must entries of p be positive for the plain sum of terms? */
    int positive_q;
    int renyi;          /* POWER, BHATTACHARYYA: take the logarithm of the moment */
    power power;
} settings;

enum {
    LONGEST_SHORT_ROW = 256,
    TILE_ROWS = BLOCK / 2 /* at most: all that is on the stack must leave room in 128 KB */
};
#define WHOLE(m) (((m) + LANES - 1) / LANES * LANES)
/* What entries must reach for the plain sum of terms, where FLOOR is added to each. */
#define P_LEAST(f) ((f)->positive_p ? LEAST_ENTRY : 0)
#define Q_LEAST(f) ((f)->positive_q ? LEAST_ENTRY : 0)
/* Largest (A - B) / A that may enter the relative error, and largest share in a sum of the
   excess, which is known to 1e-3. */
#define RHO_LIMIT(type) (sizeof(type) == sizeof(double) ? 0x1p-48 : 0x1p-21)
#define EXCESS_LIMIT(type) (sizeof(type) == sizeof(double) ? 0x1p-37 : 0x1p-13)

typedef int rows_function(
    const settings *, const char *, const char *, ptrdiff_t, ptrdiff_t, const ptrdiff_t *, void *);

typedef int logits_function(
    const char *, const char *, ptrdiff_t, ptrdiff_t, const ptrdiff_t *, const double *, double,
    void *);

typedef struct {
    const char *name;
    rows_function *rows_double[N_TERMS];
    rows_function *rows_float[N_TERMS];
    logits_function *logits_double;
    logits_function *logits_float;
    void (*kl_terms)(const double *, const double *, const double *, ptrdiff_t, double *);
} level;
typedef const level *const_level;

/* Rows of a tile: whole vectors, so that only the last tile of all must be filled up. */
static ptrdiff_t tile_rows(ptrdiff_t k)
{
    const ptrdiff_t most = BLOCK / k < TILE_ROWS ? BLOCK / k : TILE_ROWS;
    ptrdiff_t step = LANES;
    if (k > LONGEST_SHORT_ROW)
        return 1;
    while (step > 1 && step / 2 * k % LANES == 0)
        step /= 2;
    return step > most ? 1 : most / step * step;
}

#define LEVEL_BODY "_row_level.h"
#include "_levels.h"

#endif
