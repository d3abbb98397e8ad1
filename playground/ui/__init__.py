"""The interface: the only package that imports Gradio. It names no family; it draws what the contract describes."""
