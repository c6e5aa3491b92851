# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Completion of derphole, derptun and derptunctl.

_derptund_words() {
	local common="--json --verbose --quiet --silent --help"
	local net="--force-relay --derp-pin --derp-map --socket"
	local source="--token --token-file --token-stdin"

	case $1:$2 in
	derphole:listen) echo "${net} --print-token-only ${common}" ;;
	derphole:pipe) echo "${net} --parallel ${common}" ;;
	derphole:send | derphole:tx) echo "${net} --hide-progress --show-progress --qr --to ${common}" ;;
	derphole:receive | derphole:rx | derphole:recv) echo "${net} --hide-progress --show-progress --output ${common}" ;;
	derphole:ssh) echo "invite accept" ;;
	derphole:invite) echo "${net} --user ${common}" ;;
	derphole:accept) echo "${net} --key-file --yes ${common}" ;;
	derphole:share) echo "${net} --print-token-only ${common}" ;;
	derphole:open) echo "${net} --parallel ${common}" ;;
	derphole:netcheck | derptun:netcheck) echo "--timeout --stun ${common}" ;;
	derphole:) echo "listen netcheck open pipe receive send share ssh version help ${common}" ;;
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
	--token-file | --derp-map | --socket | --output | -o | --key-file | -F)
		mapfile -t COMPREPLY < <(compgen -f -- "${current}")
		return
		;;
	--user | -u)
		mapfile -t COMPREPLY < <(compgen -u -- "${current}")
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
			# What matters is the command behind a group's name.
			case ${program}:${command} in
			derptun:token | derphole:ssh) ;;
			*) break ;;
			esac
			;;
		esac
	done
	words=$(_derptund_words "${program}" "${command}")
	mapfile -t COMPREPLY < <(compgen -W "${words}" -- "${current}")
	# What to send may be a file.
	if [[ ${program}:${command} == derphole:send ]]; then
		mapfile -O "${#COMPREPLY[@]}" -t COMPREPLY \
			< <(compgen -f -- "${current}")
	fi
}

complete -F _derptund derphole derptun derptunctl
