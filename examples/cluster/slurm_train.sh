#!/bin/bash
# One training on two nodes with four GPUs each. Tried with two nodes on the processor, not with GPUs.
#   sbatch slurm_train.sh DATA RUN
# DATA and RUN are on a disk that all nodes see. --nodes and --ntasks-per-node stand twice: for
# Slurm, and (taken from it) for tumorlens.
#SBATCH --job-name=tumorlens-train
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=4
#SBATCH --time=24:00:00
#SBATCH --requeue

# A run that was broken off goes on in its folder.
srun --kill-on-bad-exit=1 tumorlens train "$1" --recipe release --output "$2" --device cuda \
  --nodes "$SLURM_JOB_NUM_NODES" --devices "$SLURM_NTASKS_PER_NODE" \
  --threads "${SLURM_CPUS_PER_TASK:-1}"
