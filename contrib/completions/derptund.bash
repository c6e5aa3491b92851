# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Completion of derphole, derptun and derptunctl.

_derptund_words() {
	local common="--json --verbose --quiet --silent --help"
	local net="--force-relay --derp-pin --derp-map --socket"
	local source="--token --token-file --token-stdin"

	case $1:$2 in
	derphole:share) echo "${net} --print-token-only ${common}" ;;
	derphole:open) echo "${net} --parallel ${common}" ;;
	derphole:netcheck | derptun:netcheck) echo "--timeout --stun ${common}" ;;
	derphole:) echo "netcheck open share version help ${common}" ;;
	derptun:token) echo "server client" ;;
	derptun:server) echo "--days --expires ${common}" ;;
	derptun:client) echo "${source} --days --expires ${common}" ;;
	derptun:serve) echo "${source} ${net} --tcp ${common}" ;;
	derptun:open) echo "${source} ${net} --listen ${common}" ;;
	derptun:connect) echo "${source} ${net} --stdio ${common}" ;;
	derptun:) echo "connect netcheck open serve token version ${common}" ;;
	derptunctl:list) echo "sessions endpoints --socket ${common}" ;;
	derptunctl:stop) echo "session endpoint daemon --socket ${common}" ;;
	derptunctl:) echo "events list methods show status stop version why help ${common}" ;;
	derptunctl:*) echo "--socket ${common}" ;;
	*) ;;
	esac
}

_derptund() {
	local program=${1##*/} word command="" words
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}

	COMPREPLY=()
	case ${previous} in
	--token-file | --derp-map | --socket)
		mapfile -t COMPREPLY < <(compgen -f -- "${current}")
		return
		;;
	--parallel | -P)
		mapfile -t COMPREPLY < <(compgen -W "auto" -- "${current}")
		return
		;;
	*) ;;
	esac
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case ${word} in
		-*) ;;
		*)
			command=${word}
			# The kind of token is the command behind `token`.
			[[ ${program}:${command} == derptun:token ]] || break
			;;
		esac
	done
	words=$(_derptund_words "${program}" "${command}")
	mapfile -t COMPREPLY < <(compgen -W "${words}" -- "${current}")
}

complete -F _derptund derphole derptun derptunctl
