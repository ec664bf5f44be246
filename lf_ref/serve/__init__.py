"""An HTTP service with the wire formats of text-embeddings-inference and OpenAI; needs the extra `lf-ref[serve]`."""
