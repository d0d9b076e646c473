#!/usr/bin/env bash
#SBATCH --job-name=recover-align
#SBATCH --array=1-40%8 # as many tasks as the manifest has jobs, eight at a time
#SBATCH --cpus-per-task=4
#SBATCH --mem=32G
#SBATCH --gres=gpu:1 # leave it out where there is none
#SBATCH --time=02:00:00
#SBATCH --requeue # a task that was stopped goes on by the same command
#
# One fine-tune of a manifest a task: MANIFEST=batch.toml OUT=restored sbatch examples/slurm.sh
# A task's exit code is its job's. What is done is not done again: submit the same array as often as you like.
set -euo pipefail
: "${MANIFEST:?set it to the manifest of the batch}" "${OUT:?set it to the directory for the results}"

export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
mkdir -p "$OUT"
# The dry run tells every job, in the manifest's order; it exits with 3 where one of them is broken.
names=$(recover-align batch "$MANIFEST" -o "$OUT/none" --dry-run) || [ $? -eq 3 ] || exit 2
name=$(sed -n "${SLURM_ARRAY_TASK_ID}s/: .*//p" <<<"$names")
if [ -z "$name" ]; then
    echo "$MANIFEST has no job number $SLURM_ARRAY_TASK_ID; correct --array" >&2
    exit 2
fi
exec recover-align batch "$MANIFEST" -o "$OUT/$name" --only "$name" --quiet
