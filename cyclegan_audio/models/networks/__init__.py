"""Networks: generators, discriminators, their layers, and the protocols that generators follow."""
