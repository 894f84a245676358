"""From the files of all jobs to numbers: thresholds, means over subjects, paired statistics."""
