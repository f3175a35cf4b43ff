"""What staff own and do: customers, orders, follow-ups, and the refresh that fills the warehouse."""
