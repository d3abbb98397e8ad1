"""Starts the interface: `python app.py [--port 7860]`. On Hugging Face Spaces this file is what runs."""

from __future__ import annotations

import argparse
import atexit
import os
import shutil
import signal
import sys
import tempfile

# Training runs in processes of its own, which import this file again as "__mp_main__": those build no interface.
if __name__ != "__mp_main__":
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if "GRADIO_TEMP_DIR" not in os.environ:  # uploads lie in a folder of this process's own while they are taken in
        os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="playground-")
        atexit.register(shutil.rmtree, os.environ["GRADIO_TEMP_DIR"], ignore_errors=True)
    if os.environ.get("SPACES_ZERO_GPU"):
        import spaces  # noqa: F401  (must come before torch touches CUDA)

    import torch

    from playground.ui.layout import build, serve

    torch.set_num_threads(1)  # the interface draws small pictures; the cores belong to the training
    demo, words = build()


def main() -> None:
    from playground.ui import service

    parser = argparse.ArgumentParser(description="A playground for generative models.")
    parser.add_argument("--host", default=os.environ.get("PLAYGROUND_HOST", "127.0.0.1"), help="address to listen on")
    parser.add_argument("--port", type=int, default=int(os.environ.get("PLAYGROUND_PORT", "7860")), help="port")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as Ctrl-C does: the runs under way are saved
    serve(demo, words, args.host, args.port, block=False)
    print(f"The playground is open at http://{args.host}:{args.port}", flush=True)
    service.start()
    try:
        demo.block_thread()
    finally:
        service.jobs().close()


if __name__ == "__main__":
    main()
