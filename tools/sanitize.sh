#!/usr/bin/env bash
# Run tests, by default those of kernels and solvers, with gcc's sanitizers of memory and of
# undefined behaviour, or of threads, in a copy of the source tree:
# tools/sanitize.sh [address|thread] [tests...]
#
# The copies, build/sanitize-*, keep the compiled modules for the next time.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=address
if [ "${1-}" = address ] || [ "${1-}" = thread ]; then
    kind=$1
    shift
fi
tests=("$@")
if [ ${#tests[@]} = 0 ]; then
    tests=(tests/_kernels tests/linear_model/test_lbfgs.py tests/linear_model/test_proximal.py)
fi
copy=build/sanitize-$kind
mkdir -p "$copy"
git ls-files -z -- sklkl tests conftest.py pyproject.toml setup.py README.md LICENSE |
    xargs -0 cp --parents --update --target-directory="$copy"
cd "$copy"
flags=address,undefined
if [ "$kind" = thread ]; then
    flags=thread
    # However short a call, its parts are for several threads.
    sed -i 's/SERIAL_BELOW = 1 << 18/SERIAL_BELOW = 0/' sklkl/_kernels/_threads.pyx
fi

# The last flags win over those of setup.py.
cat > cc <<EOT
#!/bin/sh
exec gcc "\$@" -O1 -g1 -fno-omit-frame-pointer -fsanitize=$flags
EOT
chmod +x cc
CC=$PWD/cc LDSHARED="$PWD/cc -shared" python setup.py --quiet build_ext --inplace

export PYTHONPATH=$PWD OPENBLAS_NUM_THREADS=1
rm -f report.*
run=(python -m pytest -q -p no:cacheprovider)
if [ "$kind" = address ]; then
    # Python frees no memory at its end, and its own allocator would hide what is freed too
    # early. A thread of little stack has no room for the margins of variables.
    export PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0:log_path=$PWD/report
    export UBSAN_OPTIONS=log_path=$PWD/report
    run=(env LD_PRELOAD="$(gcc -print-file-name=libasan.so)" "${run[@]}" -k "not little_stack")
else
    # Left out: what a small call on one thread does not do, and processes made by fork while
    # there are threads, which the sanitizer does not follow.
    export OMP_NUM_THREADS=4
    export TSAN_OPTIONS=log_path=$PWD/report:exitcode=0
    # Its shadow memory has fixed addresses, which a random layout may take.
    run=(setarch -R env LD_PRELOAD="$(gcc -print-file-name=libtsan.so)" "${run[@]}"
        -k "not little_stack and not fork and not environment_variable and not limits and not no_more")
fi
status=0
"${run[@]}" "${tests[@]}" || status=$?
if compgen -G "report.*" > /dev/null; then
    grep -hE "^(SUMMARY|==[0-9]+==ERROR)|runtime error" report.* | sort | uniq -c
    status=1
fi
exit $status
