/* The kernels of linear models for one instruction set; see _linear_levels.h. */

#define REAL double
#define BITS uint64_t
#define PRECISE 1
#define NAME(x) LEVEL(x##_d)
#include "_terms.h"
#include "_linear.h"
#include "_undefine.h"

#define REAL float
#define BITS uint32_t
#define PRECISE 0
#define NAME(x) LEVEL(x##_f)
#include "_terms.h"
#include "_linear.h"
#include "_undefine.h"

#define KERNELS(x) \
    {LEVEL(work_size_##x), LEVEL(objective_##x), LEVEL(curvature_##x), LEVEL(predict_##x)}
static const level LEVEL(level) = {
    NAME_OF(LEVEL_NAME), VECTOR_BYTES ? VECTOR_BYTES : 1, KERNELS(d), KERNELS(f)};
#undef KERNELS
