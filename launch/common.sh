# shellcheck shell=bash
# Sourced by the launchers. A first argument --dry-run, which is taken away,
# makes them print their commands.
dry_run=
if [[ "${1:-}" == --dry-run ]]; then
  dry_run=yes
  shift
fi

quoted() { # WORD...: the words as one line that a shell reads back
  local line
  printf -v line '%q ' "$@"
  echo "${line% }"
}

run() { # COMMAND...
  if [[ -n "$dry_run" ]]; then quoted "$@"; else "$@"; fi
}

become() { # COMMAND...: in place of this process, so that signals reach it
  if [[ -n "$dry_run" ]]; then quoted "$@"; else exec "$@"; fi
}

need() { # NAME MEANING: a variable of the environment
  if [[ -z "${!1:-}" ]]; then
    echo "error: $1 is not set; it is $2." >&2
    exit 2
  fi
}

usage() { # the comment at the head of the script
  sed -n '2,/^[^#]/s/^# //p' "$0" >&2
  exit 2
}
