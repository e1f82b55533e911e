#!/usr/bin/env bash
# Run tests, by default those of kernels and solvers, with gcc's sanitizers of memory and of
# undefined behaviour, in a copy of the source tree: tools/sanitize.sh [tests...]
#
# The copy, build/sanitize, keeps the compiled modules for the next time.
set -euo pipefail
cd "$(dirname "$0")/.."
tests=("$@")
if [ ${#tests[@]} = 0 ]; then
    tests=(tests/_kernels tests/linear_model/test_lbfgs.py tests/linear_model/test_proximal.py)
fi
mkdir -p build/sanitize
git ls-files -z -- sklkl tests conftest.py pyproject.toml setup.py README.md LICENSE |
    xargs -0 cp --parents --update --target-directory=build/sanitize
cd build/sanitize

# The last flags win over those of setup.py.
cat > cc <<'EOT'
#!/bin/sh
exec gcc "$@" -O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined
EOT
chmod +x cc
CC=$PWD/cc LDSHARED="$PWD/cc -shared" python setup.py --quiet build_ext --inplace

# Python frees no memory at its end, and its own allocator would hide what is freed too early.
runtime=$(gcc -print-file-name=libasan.so)
export LD_PRELOAD=$runtime PYTHONMALLOC=malloc PYTHONPATH=$PWD OPENBLAS_NUM_THREADS=1
export ASAN_OPTIONS=detect_leaks=0:log_path=$PWD/report UBSAN_OPTIONS=log_path=$PWD/report
rm -f report.*
status=0
# A thread of little stack has no room for the margins of variables.
python -m pytest -q -p no:cacheprovider -k "not little_stack" "${tests[@]}" || status=$?
if compgen -G "report.*" > /dev/null; then
    grep -hE "^(SUMMARY|==[0-9]+==ERROR)|runtime error" report.* | sort | uniq -c
    status=1
fi
exit $status
