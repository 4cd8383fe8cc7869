# Completion of local_run.sh for bash. Commands after "coinwatch" are completed by coinwatch itself.
_coinwatch_local_run() {
  local IFS=$'\n' current=${COMP_WORDS[COMP_CWORD]}
  if [ "$COMP_CWORD" -gt 1 ] && [ "${COMP_WORDS[1]}" = coinwatch ]; then
    # shellcheck disable=SC2207  # one suggestion per line, split by IFS
    COMPREPLY=($(COMP_WORDS="${COMP_WORDS[*]:1}" COMP_CWORD=$((COMP_CWORD - 1)) _COINWATCH_COMPLETE=complete_bash \
      "$1" coinwatch))
  elif [ "$COMP_CWORD" = 1 ]; then
    # shellcheck disable=SC2207
    COMPREPLY=($(IFS=' ' compgen -W "start stop status logs reset backup restore coinwatch airflow completion" -- "$current"))
  fi
}
complete -o default -F _coinwatch_local_run local_run.sh
