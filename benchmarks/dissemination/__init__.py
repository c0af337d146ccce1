"""How many broadcasts miss somebody: our choice of gossip targets beside memberlist's."""
