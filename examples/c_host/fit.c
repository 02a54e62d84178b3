/* Logistic regression with a gradient that adc built: cross-validation, one thread per fold.  No Python.
 *
 *     ./fit data.txt 4        prints the loss and the accuracy of four folds, and of all the data
 *
 * Every thread calls the same gradient with scratch of its own.
 */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "data.h"
#include "model.h"

enum { STEPS = 400 };
static const double DECAY = 1e-3;

typedef struct {
    const table *data;
    int64_t fold, folds; /* rows i with i % folds == fold are held out; folds 0: none */
    double loss, accuracy;
    double *w;
    int code; /* of adc, or -100 where memory is short */
} job;

static double accuracy(const job *j, const double *w)
{
    const table *t = j->data;
    int64_t right = 0, count = 0;
    for (int64_t i = 0; i < t->n; i++) {
        if (j->folds && i % j->folds != j->fold)
            continue;
        double z = 0;
        for (int64_t k = 0; k < t->d; k++)
            z += t->X[i * t->d + k] * w[k];
        right += (z > 0) == (t->y[i] > 0.5);
        count++;
    }
    return (double)right / (double)count;
}

/* Gradient descent with Nesterov's momentum; the smoothness of the loss is at most the largest row norm / 4. */
static void *fit(void *argument)
{
    job *j = (job *)argument;
    const table *t = j->data;
    const int64_t d = t->d;
    int64_t n = 0;
    double *X = (double *)malloc(sizeof(double) * (size_t)(t->n * d));
    double *y = (double *)malloc(sizeof(double) * (size_t)t->n);
    double *gradient = (double *)malloc(sizeof(double) * (size_t)d);
    double *ahead = (double *)calloc((size_t)d, sizeof(double));
    void *scratch = malloc(loss_vg_scratch_bytes(d, t->n) + 1);
    j->w = (double *)calloc((size_t)d, sizeof(double));
    j->code = -100;
    if (!X || !y || !gradient || !ahead || !scratch || !j->w)
        goto end;
    double norms = 0;
    for (int64_t i = 0; i < t->n; i++) {
        if (j->folds && i % j->folds == j->fold)
            continue;
        memcpy(X + n * d, t->X + i * d, sizeof(double) * (size_t)d);
        for (int64_t k = 0; k < d; k++)
            norms += X[n * d + k] * X[n * d + k];
        y[n++] = t->y[i];
    }
    const double step = 4.0 * (double)n / norms;
    for (int s = 0; s < STEPS; s++) {
        j->code = loss_vg(ahead, X, y, DECAY, d, n, &j->loss, gradient, scratch);
        if (j->code)
            goto end;
        const double momentum = s / (s + 3.0);
        for (int64_t k = 0; k < d; k++) {
            const double next = ahead[k] - step * gradient[k];
            ahead[k] = next + momentum * (next - j->w[k]);
            j->w[k] = next;
        }
    }
    j->code = loss_vg(j->w, X, y, DECAY, d, n, &j->loss, gradient, scratch);
    j->accuracy = accuracy(j, j->w);
end:
    free(X), free(y), free(gradient), free(ahead), free(scratch);
    return NULL;
}

int main(int argc, char **argv)
{
    table data;
    int64_t folds = argc > 2 ? atoll(argv[2]) : 4;
    if (argc < 2 || folds < 2 || table_read(argv[1], &data)) {
        fprintf(stderr, "usage: fit data.txt [folds]\n");
        return 2;
    }
    job *jobs = (job *)calloc((size_t)folds + 1, sizeof(job));
    pthread_t *threads = (pthread_t *)calloc((size_t)folds + 1, sizeof(pthread_t));
    int status = !jobs || !threads;
    int64_t started = 0;
    for (int64_t k = 0; !status && k <= folds; k++) {
        jobs[k].data = &data, jobs[k].fold = k, jobs[k].folds = k < folds ? folds : 0;
        status = pthread_create(&threads[k], NULL, fit, &jobs[k]) != 0;
        started += !status;
    }
    for (int64_t k = 0; k < started; k++) {
        pthread_join(threads[k], NULL);
        if (jobs[k].code) {
            fprintf(stderr, "fold %ld: %s\n", (long)k, model_strerror(jobs[k].code));
            status = 1;
        } else if (jobs[k].folds)
            printf("fold %ld loss %.6f accuracy %.4f\n", (long)k, jobs[k].loss, jobs[k].accuracy);
        else
            printf("all loss %.6f accuracy %.4f\n", jobs[k].loss, jobs[k].accuracy);
        free(jobs[k].w);
    }
    free(jobs), free(threads);
    table_free(&data);
    return status;
}
