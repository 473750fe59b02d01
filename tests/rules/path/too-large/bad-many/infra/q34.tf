# q
