#!/bin/sh
# Run the Python that holds the asan flavour, with the sanitizer's runtime loaded before everything else.
set -eu
cd "$(dirname "$0")/.."
compiler=${CC:-cc}
# libstdc++ must be there when ASan looks for its exception functions: intl is C++.
LD_PRELOAD="$("$compiler" -print-file-name=libasan.so) $("$compiler" -print-file-name=libstdc++.so.6)"
# Leaks of programs that tests start are not ours; use-after-free and overflows anywhere are.
: "${ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:detect_stack_use_after_return=0:strict_init_order=1}"
# The extension is instrumented by UBSan, too; what it finds has to end the process to be seen.
: "${UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1}"
# Python's own allocator would hide errors of small objects.
: "${PYTHONMALLOC=malloc}"
export LD_PRELOAD ASAN_OPTIONS UBSAN_OPTIONS PYTHONMALLOC
exec build/asan-venv/bin/python "$@"
