/* Reading the table that export.py wrote. */
#ifndef DATA_H
#define DATA_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    int64_t n, d;  /* patients, features */
    double *X, *y; /* X[n][d], y[n] */
} table;

/* 0, or 1 where the file cannot be read; table_free afterwards either way. */
static inline int table_read(const char *path, table *t)
{
    FILE *f = fopen(path, "r");
    long rows, columns;
    t->X = t->y = NULL;
    if (!f)
        return 1;
    if (fscanf(f, "%ld %ld", &rows, &columns) != 2 || rows < 2 || columns < 3) {
        fclose(f);
        return 1;
    }
    t->n = rows, t->d = columns - 1;
    t->X = (double *)malloc(sizeof(double) * (size_t)(t->n * t->d));
    t->y = (double *)malloc(sizeof(double) * (size_t)t->n);
    int bad = !t->X || !t->y;
    for (int64_t i = 0; !bad && i < t->n; i++) {
        for (int64_t j = 0; !bad && j < t->d; j++)
            bad = fscanf(f, "%lf", &t->X[i * t->d + j]) != 1;
        bad = bad || fscanf(f, "%lf", &t->y[i]) != 1;
    }
    fclose(f);
    return bad;
}

static inline void table_free(table *t)
{
    free(t->X);
    free(t->y);
}

#endif
