"""From images and an encoder to stored embeddings."""
