"""Users and items as vectors that are looked up: the matrix factorization family."""
