"""The same contract in virtual time: no process is started."""
