#!/bin/bash
# GNU parallel: so many parts, a number of them at a time, on this machine.
#   gnu_parallel.sh SCANS PARTS [SHARDS] [AT_ONCE]
# With --sshloginfile HOSTS the same line uses other machines that see SCANS and PARTS.
set -euo pipefail
scans=$1 parts=$2 of=${3:-8} at_once=${4:-2}
mkdir -p "$parts"

# Exit code 1 means that some inputs could not be read; their records say why.
seq "$of" | parallel --jobs "$at_once" --retries 3 \
  tumorlens predict "$scans" --shard "{}/$of" --output "$parts/{}.jsonl" --resume --threads 1 --quiet \
  '||' '[ $? -eq 1 ]'

tumorlens merge "$parts"/*.jsonl --output "$parts/../findings.jsonl" || [ $? -eq 1 ]
