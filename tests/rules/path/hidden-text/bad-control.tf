# a note [2K
