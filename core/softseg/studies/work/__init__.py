"""Jobs at work: training, judging their models, several processes, and the files a job leaves."""
