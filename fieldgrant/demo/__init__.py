"""The journey: real servers, real wallets, told step by step, believed only from HTTP answers and from disk."""
