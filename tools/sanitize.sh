#!/usr/bin/env bash
# Run tests of the kernels and solvers with sanitizers of gcc, in a copy of the source tree.
#
#     tools/sanitize.sh address [tests...]    memory, and undefined behaviour
#     tools/sanitize.sh thread [tests...]     races
#
# The compiled modules are kept in build/sanitize-KIND for the next time.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=$1
shift
tests=("$@")
if [ ${#tests[@]} = 0 ]; then
    tests=(tests/_kernels tests/linear_model/test_lbfgs.py tests/linear_model/test_proximal.py)
fi
copy=build/sanitize-$kind
mkdir -p "$copy"
git ls-files -z -- sklkl tests conftest.py pyproject.toml setup.py README.md LICENSE |
    xargs -0 cp --parents --update --target-directory="$copy"
cd "$copy"

flags="-O1 -g1 -fno-omit-frame-pointer -fsanitize=thread"
[ "$kind" = thread ] ||
    flags="-O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined"
# The last flags win over those of setup.py.
printf '#!/bin/sh\nexec gcc "$@" %s\n' "$flags" > cc
chmod +x cc
CC=$PWD/cc LDSHARED="$PWD/cc -shared" python setup.py --quiet build_ext --inplace

runtime=$(gcc -print-file-name="lib${kind/address/a}san.so")
[ "$kind" = address ] || runtime=$(gcc -print-file-name=libtsan.so)
# Python frees no memory at its end, and its own allocator would hide what is freed too early.
# A thread of little stack has no room for the sanitizers' margins.
export LD_PRELOAD=$runtime PYTHONMALLOC=malloc PYTHONPATH=$PWD
export ASAN_OPTIONS=detect_leaks=0:log_path=$PWD/report UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=log_path=$PWD/report:exitcode=0 OPENBLAS_NUM_THREADS=1
rm -f report.*
status=0
python -m pytest -q -p no:cacheprovider -k "not stack and not 112" "${tests[@]}" || status=$?
if compgen -G "report.*" > /dev/null; then
    grep -hE "^(SUMMARY|==[0-9]+==ERROR)|runtime error" report.* | sort | uniq -c
    status=1
fi
exit $status
