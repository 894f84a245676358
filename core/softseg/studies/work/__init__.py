"""Jobs at work: training, evaluating their models, several processes, and the files a job leaves."""
