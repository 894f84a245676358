"""Installing the packages that training and prediction need, and saying why that failed."""
