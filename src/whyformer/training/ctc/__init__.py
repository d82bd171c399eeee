"""Learning from connectionist temporal classification, alone or beside attention decoders."""
