"""What the peers tests drive the product with: software of others, and a little glue."""
