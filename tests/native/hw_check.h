/* SPDX-License-Identifier: MIT */
/* What the tests of the pure C parts share: a check that names the place, and the list of cases to run. */
#ifndef HW_CHECK_H
#define HW_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define HW_CHECK(condition)                                                                                            \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: not %s\n", __FILE__, __LINE__, __func__, #condition);                          \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define HW_RUN(test)                                                                                                   \
    do {                                                                                                               \
        printf("%s\n", #test);                                                                                         \
        fflush(stdout);                                                                                                \
        test();                                                                                                        \
    } while (0)

#endif
