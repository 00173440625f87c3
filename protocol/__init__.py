"""What two parties must agree on: identifiers, canonical forms, proofs, credentials, log formats. Pure, no I/O."""
