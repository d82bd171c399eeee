"""Models of streams: an encoder that is fed in pieces, the symbols it emits, decoders that judge them."""
