"""What proves where an image comes from: bill of materials, provenance, signatures, and their check."""
