"""The customer's side: keys that stay with the customer, and what they sign."""
