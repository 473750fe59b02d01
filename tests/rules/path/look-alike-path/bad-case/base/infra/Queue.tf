# a queue
