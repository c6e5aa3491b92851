#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# One check by an outside tool, as TAP; skipped with a reason without it.
#
# usage: tool.sh NAME BUILD    (run from the top of the tree)
set -u

files() {
	git ls-files -c -o --exclude-standard -- "$@"
}

# The files go through word splitting; names with blanks are not allowed here.
# shellcheck disable=SC2046
run() {
	case $1 in
	clang-format)
		clang-format -n --Werror $(files '*.c' '*.h')
		;;
	shellcheck)
		shellcheck -o all -e SC2250,SC2310,SC2312 contrib/check \
			contrib/install-deps contrib/quickstart \
			.ci/run $(files '*.sh')
		;;
	mandoc)
		mandoc -Tlint -W warning $(files 'man/*.[1-8]' 'man/*.in')
		;;
	pyflakes3)
		pyflakes3 $(files "*.py") test/system/chaos test/system/grid \
			test/system/switches
		;;
	codespell)
		codespell --skip 'test/fuzz/corpus,test/vectors,*.sum' \
			-L recieve,ot,ans,nd,te,hel,fo \
			$(files | grep -v -e ^test/fuzz/corpus -e ^test/vectors)
		;;
	cppcheck)
		# It reads no system headers, but needs the list macros.
		queue=$(echo '#include <sys/queue.h>' | cc -M -x c - |
			tr ' ' '\n' | grep 'sys/queue\.h$')
		cppcheck --quiet --include="${queue}" --std=c11 --inline-suppr -j 2 -I . \
			--enable=warning,portability --error-exitcode=1 \
			--suppress=missingIncludeSystem \
			-D_GNU_SOURCE lib proto daemon helpers client
		;;
	systemd-analyze)
		for unit in "${2}"/systemd/*.service; do
			systemd-analyze security --no-pager --offline=true \
				--threshold=20 "${unit}" || return 1
		done
		;;
	*)
		echo "unknown tool $1"
		return 1
		;;
	esac
}

echo 1..1
if ! command -v "$1" >/dev/null; then
	echo "ok 1 - $1 # SKIP $1 is not installed"
	exit 0
fi
if out=$(run "$@" 2>&1); then
	echo "ok 1 - $1"
else
	echo "not ok 1 - $1"
	printf '%s\n' "${out}" | head -n 200 | sed 's/^/# /'
	exit 1
fi
