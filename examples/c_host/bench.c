/* What a call costs: ns per call of a gradient of two numbers, and of the logistic gradient on large inputs.
 *
 *     ./bench
 */
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "model.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(void)
{
    double x[2] = {1.0, 2.0}, g[2];
    double best = 1e9;
    for (int repeat = 0; repeat < 20; repeat++) {
        const int calls = 200000;
        const double start = now();
        for (int k = 0; k < calls; k++)
            if (saddle_grad(x, g, NULL))
                return 1;
        const double each = (now() - start) / calls;
        best = each < best ? each : best;
    }
    printf("saddle_grad %.1f ns\n", best * 1e9);

    const int64_t n = 20000, d = 64;
    double *X = malloc(sizeof(double) * (size_t)(n * d)), *y = malloc(sizeof(double) * (size_t)n);
    double *w = calloc((size_t)d, sizeof(double)), *gradient = malloc(sizeof(double) * (size_t)d), value;
    void *scratch = malloc(loss_vg_scratch_bytes(d, n) + 1);
    if (!X || !y || !w || !gradient || !scratch)
        return 1;
    srand(1);
    for (int64_t k = 0; k < n * d; k++)
        X[k] = rand() / (double)RAND_MAX - 0.5;
    for (int64_t k = 0; k < n; k++)
        y[k] = (double)(rand() % 2);
    best = 1e9;
    for (int repeat = 0; repeat < 100; repeat++) {
        const double start = now();
        if (loss_vg(w, X, y, 1e-3, d, n, &value, gradient, scratch))
            return 1;
        const double each = now() - start;
        best = each < best ? each : best;
    }
    printf("loss_vg %.1f us (n = %ld, d = %ld, level %s)\n", best * 1e6, (long)n, (long)d, model_level_name(model_level()));
    free(X), free(y), free(w), free(gradient), free(scratch);
    return 0;
}
