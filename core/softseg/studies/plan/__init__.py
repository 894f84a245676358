"""What a study asks: its file, variants, folds, datasets, and the jobs that follow from them."""
