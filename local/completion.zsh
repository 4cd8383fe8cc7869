# Completion of local_run.sh for zsh. Commands after "coinwatch" are completed by coinwatch itself.
_coinwatch_local_run() {
  if (( CURRENT > 2 )) && [[ ${words[2]} == coinwatch ]]; then
    eval $(env _TYPER_COMPLETE_ARGS="${words[2,$CURRENT]}" _COINWATCH_COMPLETE=complete_zsh ${words[1]} coinwatch)
  elif (( CURRENT == 2 )); then
    compadd start stop status logs reset backup restore coinwatch airflow completion
  fi
}
compdef _coinwatch_local_run local_run.sh
