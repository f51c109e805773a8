#!/bin/bash
# An array of Slurm: one task judges one part.
#   sbatch --array=1-8 slurm_array.sh SCANS PARTS
#   sbatch --dependency=afterok:ID --wrap 'tumorlens merge PARTS/*.jsonl --output findings.jsonl'
# SCANS and PARTS (a folder that exists, outside of SCANS) are on a disk that all nodes see.
#SBATCH --job-name=tumorlens
#SBATCH --cpus-per-task=2
#SBATCH --mem=2G
#SBATCH --time=04:00:00
#SBATCH --requeue

scans=$1 parts=$2
number=$SLURM_ARRAY_TASK_ID of=$SLURM_ARRAY_TASK_COUNT

# --resume: a task that is started again goes on where it was. Exit code 1 means that some inputs
# could not be read; their records say why, and the part is complete.
tumorlens predict "$scans" --shard "$number/$of" --output "$parts/$number.jsonl" --resume \
  --threads "${SLURM_CPUS_PER_TASK:-1}" || [ $? -eq 1 ]
